"""`flask rights proofs`: files that prove an agent's authority, as compliance decides on them."""

from __future__ import annotations

from pathlib import Path

import click

from preference_center.cli.actor import actor
from preference_center.cli.command_app import CommandGroup
from preference_center.cli.errors import click_bad_parameter, click_errors
from preference_center.cli.private_files import write_private_file
from preference_center.cli.rights_output import request_line
from preference_center.context import services
from preference_center.domain.rights.proof_files import MAX_PROOF_BYTES, ProofFile, ProofKind
from preference_center.domain.rights.request import RightsRequest
from preference_center.rights import agents, requests
from preference_center.storage.db.database import run_autocommit
from preference_center.storage.rights import proofs
from preference_center.storage.rights.proofs import StoredProof

group = CommandGroup(
    "proofs",
    help="Files that prove an agent's authority. They are sealed, deleted after 90 days, and were"
    " uploaded by strangers: open a saved one only where nothing else can be harmed.",
)


@group.command("list")
@click.argument("reference")
def list_(reference: str) -> None:
    """List the files of a request: number, what it shows, type, bytes, until when it is kept.

    Example: flask rights proofs list 06H0-SJ4E-G1WH-34VF
    """
    found = _list(_find(reference))
    for number, proof in enumerate(found, start=1):
        click.echo(
            f"{number}  {proof.kind:<18}{proof.type:<17}{proof.size_bytes:>9}"
            f"  until {proof.forget_at:%Y-%m-%d}"
        )
    if not found:
        click.echo("No files.", err=True)


@group.command("add")
@click.argument("reference")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in ProofKind]),
    default=ProofKind.POWER_OF_ATTORNEY.value,
    show_default=True,
    help="What it shows.",
)
def add(reference: str, file: Path, kind: str) -> None:
    """Store a PDF, PNG or JPEG that came by letter or mail."""
    request = _find(reference)
    with file.open("rb") as source:
        content = source.read(MAX_PROOF_BYTES + 1)
    with click_errors():
        agents.add_proof(request.id, ProofFile(content, "", ProofKind(kind)), actor())
    click.echo(f"{request.reference}: stored.")


@group.command("save")
@click.argument("reference")
@click.argument("number", type=click.IntRange(min=1))
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
def save(reference: str, number: int, path: Path) -> None:
    """Write a file to PATH, which must not exist, readable by you only; that is recorded.

    Delete it afterwards.

    Example: flask rights proofs save 06H0-SJ4E-G1WH-34VF 1 /run/user/1000/authority.pdf
    """
    request = _find(reference)
    found = _list(request)
    if number > len(found):
        raise click.BadParameter(f"there are {len(found)} files", param_hint="NUMBER")
    with click_errors():
        content = agents.read_proof(request.id, found[number - 1].id, actor())
    if content is None:
        raise click.ClickException("the file was deleted: its 90 days are over")
    write_private_file(path, content)
    click.echo(f"{found[number - 1].type}, {len(content)} bytes")


@group.command("accept")
@click.argument("reference")
@click.option(
    "--results-to-agent",
    is_flag=True,
    help="The authority covers receiving the results, as an heir's: they are mailed to both.",
)
def accept(reference: str, results_to_agent: bool) -> None:  # noqa: FBT001 - click passes it so
    """Find the authority proven: the person need not confirm the request.

    What acts by itself is done at once. Make sure first that the authority names this person,
    this agent and what is asked for, and that it is signed.
    """
    request = _find(reference)
    with click_errors():
        changed = agents.accept_authority(request.id, actor(), results_to_agent=results_to_agent)
    click.echo(request_line(changed, services().now()))


@group.command("reject")
@click.argument("reference")
def reject(reference: str) -> None:
    """Find that the files prove nothing. The person can still confirm the request."""
    request = _find(reference)
    with click_errors():
        changed = agents.reject_authority(request.id, actor())
    click.echo(request_line(changed, services().now()))


def _find(reference: str) -> RightsRequest:
    with click_bad_parameter("REFERENCE"):
        return requests.find_by_reference(reference)


def _list(request: RightsRequest) -> list[StoredProof]:
    with click_errors():
        return run_autocommit(lambda c: proofs.list_proofs(c, request.id))
