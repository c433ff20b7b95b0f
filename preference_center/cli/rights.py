"""`flask rights`: what people ask for about their data, as support works on it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TextIO

import click

from preference_center.cli.actor import actor
from preference_center.cli.command_app import CommandGroup
from preference_center.cli.errors import Timestamp, click_bad_parameter, click_errors
from preference_center.cli.rights_acts import ACTS
from preference_center.cli.rights_corrections import CORRECTIONS
from preference_center.cli.rights_output import print_request, request_line
from preference_center.cli.rights_proofs import group as proofs_group
from preference_center.context import services
from preference_center.domain.addresses import Channel, parse_address
from preference_center.domain.rights.clock import RequestStage, request_stage
from preference_center.domain.rights.identity import Proof, proven_level
from preference_center.domain.rights.model import (
    Extent,
    Law,
    RequestKind,
    RequestState,
    RequestVia,
    StepAction,
)
from preference_center.domain.rights.new_request import Agent, NewRequest
from preference_center.rights import requests
from preference_center.rights.agent_list import AgentRow, read_agent_list, record_row
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.catalogues import current_catalogue_or_empty
from preference_center.storage.db.database import run_autocommit
from preference_center.storage.rights.request_queue import list_running
from preference_center.storage.rights.requests import list_requests

_LIMIT = 1_000

group = CommandGroup(
    "rights",
    help="Data-subject requests: what people ask for about their data, and by when."
    " Addresses are read from a prompt or standard input, so that they"
    " appear in no shell history and no list of processes. docs/rights.md explains the rest.",
)
for _command in (*ACTS, *CORRECTIONS):
    group.add_command(_command)
group.add_command(proofs_group)


@group.command("list")
@click.option(
    "--state",
    type=click.Choice([state.value for state in RequestState]),
    help="Only requests in this state, also closed ones; default: all that are not closed.",
)
def list_(state: str | None) -> None:
    """List requests, the earliest deadline first: reference, kind, state, deadline.

    A deadline is that of the answer; "stopped" means that the clock stands until the person has
    proven who they are.

    Example: flask rights list --state identifying
    """
    states = [RequestState(state)] if state else [s for s in RequestState if not s.closed]
    with click_errors():
        found = run_autocommit(lambda c: list_requests(c, states=states, limit=_LIMIT))
    for request in sorted(found, key=lambda r: (r.stopped_at is not None, r.deadline)):
        click.echo(request_line(request, services().now()))
    if not found:
        click.echo("No requests.", err=True)


@group.command("overdue")
def overdue() -> None:
    """List requests that are late or soon will be, the latest first.

    Exits with 1 if one is overdue, for use in monitoring. "due_soon" is four fifths of the time,
    "past_target" the company's own target of the catalogue's [rights].

    Example: flask rights overdue || echo "answer these today"
    """
    now, target = services().now(), current_catalogue_or_empty().rights.target
    with click_errors():
        running = run_autocommit(lambda c: list_running(c, _LIMIT))
    stages = [request_stage(r.received_at, r.deadline, now, target=target) for r in running]
    for request, stage in zip(running, stages, strict=True):
        if stage is not RequestStage.ON_TIME:
            click.echo(f"{stage:<12}{request_line(request, now)}")
    if RequestStage.OVERDUE in stages:
        raise click.exceptions.Exit(1)


@group.command("show")
@click.argument("reference")
@click.option(
    "--show-text",
    is_flag=True,
    help="Also show what the person wrote; it may name people. That is recorded.",
)
def show(reference: str, show_text: bool) -> None:  # noqa: FBT001 - click passes it so
    """Show one request and its steps; addresses are masked.

    REFERENCE is what the person quotes; case, spaces and dashes are ignored.

    Example: flask rights show 06H0-SJ4E-G1WH-34VF
    """
    with click_bad_parameter("REFERENCE"):
        request = requests.find_by_reference(reference)
    with click_errors():
        part, steps = requests.open_sealed(request), requests.list_steps(request.id)
        if show_text and part.text:
            requests.record_look(request.id, StepAction.TEXT_READ, actor())
    print_request(request, part, steps, show_text=show_text)


@group.command("add")
@click.argument("kind", type=click.Choice([kind.value for kind in RequestKind]))
@click.option(
    "--via",
    type=click.Choice([via.value for via in RequestVia]),
    required=True,
    help="How it reached the company.",
)
@click.option("--extent", type=click.Choice([e.value for e in Extent]), help="Of erase: how far.")
@click.option(
    "--proof",
    type=click.Choice([proof.value for proof in Proof]),
    default=Proof.NOTHING.value,
    show_default=True,
    help="What showed you that it is the person.",
)
@click.option("--asked", is_flag=True, help="You asked the person for proof: the clock may stop.")
@click.option(
    "--law",
    type=click.Choice([law.value for law in Law]),
    help="Of where the person says they live; default: the earliest date of your laws.",
)
@click.option("--language", default="", help="Of the answer (BCP 47); default: the contact's.")
@click.option(
    "--received-at",
    type=Timestamp(),
    help="When the company received it, e.g. 2026-11-24T09:30+01:00; default: now.",
)
@click.option(
    "--channel",
    type=click.Choice([channel.value for channel in Channel]),
    default=Channel.EMAIL.value,
    show_default=True,
    help="The channel of the address.",
)
@click.option("--text-file", type=click.File(), help="What the person wrote.")
def add(
    kind: str,
    via: str,
    extent: str | None,
    proof: str,
    asked: bool,  # noqa: FBT001 - click passes it so
    law: str | None,
    language: str,
    received_at: datetime | None,
    channel: str,
    text_file: TextIO | None,
) -> None:
    """Record a request that came by phone, letter, mail or in person.

    KIND is what is asked for. The person is mailed the reference; read it out, too. An objection
    counts at once, without any proof.

    Example: flask rights add access --via phone --asked < address.txt
    """
    raw = click.prompt("Address", err=True)
    with click_bad_parameter("Address"):
        address = parse_address(raw, Channel(channel), region=services().settings.phone_region)
    with click_errors():
        require_known_keys()
        request = requests.open_request(
            NewRequest(
                kind=RequestKind(kind),
                via=RequestVia(via),
                language=language,
                addresses=(address,),
                extent=Extent(extent) if extent else None,
                law=Law(law) if law else None,
                received_at=received_at,
                level=proven_level(Proof(proof)),
                identity_asked=asked,
                text=text_file.read() if text_file else "",
            ),
            actor(),
        )
    click.echo(request_line(request, services().now()))


@group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--language", required=True, help="Of the answers (BCP 47), e.g. en.")
@click.option("--apply", "applies", is_flag=True, help="Record the requests.")
def import_(
    file: Path,
    language: str,
    applies: bool,  # noqa: FBT001 - click passes it so
) -> None:
    """Read an agent's list: a CSV with a header, and one request in each row.

    Columns are address or external_id, kind, and if known extent, channel, law, received_at,
    text. Without --apply nothing is recorded: the rows are counted, and those that can't be used
    are listed by line. The agent's name and address are read from a prompt. Objections count at
    once; for anything else the people themselves, or a power of attorney, have to confirm it.

    Example: flask rights import list.csv --language en
    """
    name = click.prompt("Name of the agent", err=True)
    agent = Agent(name, click.prompt("Address of the agent", err=True))
    with click_errors(), file.open(encoding="utf-8-sig", newline="") as lines:
        require_known_keys()
        region = services().settings.phone_region
        rows = list(read_agent_list(lines, agent, language, region))
    counts: dict[str, int] = {}
    for row in rows:
        name = _import_row(row, applies=applies)
        counts[name] = counts.get(name, 0) + 1
    for name, count in sorted(counts.items()):
        click.echo(f"{name}\t{count}")
    if not applies:
        click.echo("Nothing was recorded: add --apply.", err=True)
    if "refused" in counts:
        raise click.exceptions.Exit(1)


def _import_row(row: AgentRow, *, applies: bool) -> str:
    """What the row counts as; a refused one is reported by its line."""
    read = record_row(row, actor()) if applies else row
    if read.request is None:
        click.echo(f"line {read.line}: {read.problem}", err=True)
        return "refused"
    return read.request.kind.value
