"""The commands of `flask rights` that change one request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from preference_center.cli.actor import actor
from preference_center.cli.command_app import with_service
from preference_center.cli.errors import click_bad_parameter, click_errors
from preference_center.cli.private_files import write_private_file
from preference_center.cli.rights_output import request_line
from preference_center.context import services
from preference_center.domain.rights.identity import Proof, proven_level
from preference_center.domain.rights.model import (
    AskedFact,
    ExtensionReason,
    RefusalGround,
    RequestOutcome,
)
from preference_center.domain.rights.request import RightsRequest
from preference_center.rights import requests
from preference_center.rights.access_file.build import read_access_file


@click.command("confirm")
@click.argument("reference")
@with_service
def confirm(reference: str) -> None:
    """Record that the person was informed of the receipt, by letter or on the phone.

    A mail with the reference does that by itself.
    """
    _act(reference, lambda request: requests.confirm_receipt(request.id, actor()))


@click.command("identify")
@click.argument("reference")
@click.argument("result", type=click.Choice(["asked", "confirmed", "failed"]))
@click.option(
    "--proof",
    type=click.Choice([proof.value for proof in Proof]),
    help="With confirmed: what showed it. recent_dealings: two facts were right.",
)
@click.option(
    "--fact",
    "facts",
    multiple=True,
    type=click.Choice([fact.value for fact in AskedFact]),
    help="What you asked about; repeat it. Answers are never stored.",
)
@with_service
def identify(reference: str, result: str, proof: str | None, facts: tuple[str, ...]) -> None:
    """Record that the person was asked for proof, proved who they are, or failed to.

    The clock stops with "asked", where the law allows it. The third "failed" refuses the
    request, and the person is mailed how to go on. Never ask for an identity card by default.

    Example: flask rights identify 06H0-SJ4E-G1WH-34VF confirmed --proof recent_dealings
    --fact last_order --fact subscriptions
    """
    if (proof is not None) != (result == "confirmed"):
        raise click.UsageError("give --proof with confirmed, and with nothing else")
    asked = [AskedFact(fact) for fact in facts]

    def act(request: RightsRequest) -> RightsRequest:
        if result == "asked":
            return requests.ask_identity(request.id, actor())
        if proof is None:
            return requests.fail_identity(request.id, actor(), asked)
        return requests.confirm_identity(request.id, proven_level(Proof(proof)), actor(), asked)

    _act(reference, act)


@click.command("extend")
@click.argument("reference")
@click.option(
    "--reason",
    type=click.Choice([reason.value for reason in ExtensionReason]),
    required=True,
    help="Why; the person reads it.",
)
@with_service
def extend(reference: str, reason: str) -> None:
    """Take the longer time that the law allows, and mail the person the new date.

    Possible once, and before the first date: under the GDPR within a month of the receipt.
    """
    _act(reference, lambda r: requests.extend(r.id, ExtensionReason(reason), actor()))


@click.command("refuse")
@click.argument("reference")
@click.option(
    "--ground",
    type=click.Choice([ground.value for ground in RefusalGround]),
    required=True,
    help="Why; the person reads it.",
)
@with_service
def refuse(reference: str, ground: str) -> None:
    """Refuse a request, and mail the person why and how to complain."""
    _act(reference, lambda r: requests.refuse(r.id, RefusalGround(ground), actor()))


@click.command("complete")
@click.argument("reference")
@click.option(
    "--outcome",
    type=click.Choice([outcome.value for outcome in RequestOutcome]),
    default=RequestOutcome.FULFILLED.value,
    show_default=True,
    help="How it was fulfilled; the person reads it.",
)
@with_service
def complete(reference: str, outcome: str) -> None:
    """Fulfil a request: do what it asks for, mark it as done, and mail the person.

    Erases, closes, reopens, restricts or ends a restriction. What else is asked for you have
    done yourself: then this only records it.

    Example: flask rights complete 06H0-SJ4E-G1WH-34VF --outcome partly
    """
    _act(reference, lambda r: requests.fulfil(r, actor(), RequestOutcome(outcome)))


@click.command("withdraw")
@click.argument("reference")
@with_service
def withdraw(reference: str) -> None:
    """Record that the person no longer asks for it."""
    _act(reference, lambda r: requests.withdraw(r.id, actor()))


@click.command("file")
@click.argument("reference")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@with_service
def file(reference: str, path: Path) -> None:
    """Write the file that answers a request for access to PATH, readable by you only.

    For who can't download it: a person without email, or an heir whose authority covers it. The
    download is a step of the request. PATH must not exist; delete the file once it is handed over.

    Example: flask rights file 06H0-SJ4E-G1WH-34VF /run/user/1000/data.zip
    """
    with click_bad_parameter("REFERENCE"):
        request = requests.find_by_reference(reference)
    if path.exists():
        raise click.BadParameter("File exists", param_hint="PATH")
    with click_errors():
        content = read_access_file(request.id, actor=actor())
    write_private_file(path, content)
    click.echo(f"{request.reference}: {len(content)} bytes")


def _act(reference: str, act: Callable[[RightsRequest], RightsRequest]) -> None:
    with click_bad_parameter("REFERENCE"):
        request = requests.find_by_reference(reference)
    with click_errors():
        changed = act(request)
    click.echo(request_line(changed, services().now()))


ACTS = (confirm, file, identify, extend, refuse, complete, withdraw)
