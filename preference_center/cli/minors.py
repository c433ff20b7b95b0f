"""`flask minors`: reports that an address is a minor's, as compliance decides on them."""

from __future__ import annotations

from collections.abc import Callable

import click

from preference_center.cli.actor import actor
from preference_center.cli.command_app import CommandGroup
from preference_center.cli.errors import click_bad_parameter, click_errors
from preference_center.cli.rights_output import print_request, request_line
from preference_center.context import services
from preference_center.domain.rights.model import RequestKind, RequestState, StepAction
from preference_center.domain.rights.request import RightsRequest
from preference_center.rights import minors, requests
from preference_center.storage.db.database import run_autocommit
from preference_center.storage.rights.requests import list_requests

_LIMIT = 1_000

group = CommandGroup(
    "minors",
    help="Reports that an address is a minor's: decide on each within 72 hours. Until then no"
    " marketing is sent to it, and nothing else has changed.",
)


@group.command("list")
@click.option("--all", "also_closed", is_flag=True, help="Also those that are decided.")
def list_(also_closed: bool) -> None:  # noqa: FBT001 - click passes it so
    """List reports, the earliest deadline first; "contradicted" if the holder says it is wrong.

    Example: flask minors list
    """
    states = [s for s in RequestState if also_closed or not s.closed]
    with click_errors():
        found = run_autocommit(
            lambda c: list_requests(c, states=states, kinds=[RequestKind.MINOR], limit=_LIMIT)
        )
        said = minors.list_contradicted(found)
    for each in sorted(found, key=lambda report: report.deadline):
        mark = "  contradicted" if each.id in said else ""
        click.echo(f"{request_line(each, services().now())}{mark}")
    if not found:
        click.echo("No reports.", err=True)


@group.command("show")
@click.argument("reference")
@click.option(
    "--show-text", is_flag=True, help="Also show why somebody thinks so; that is recorded."
)
def show(reference: str, show_text: bool) -> None:  # noqa: FBT001 - click passes it so
    """Show one report and its steps; addresses are masked."""
    report = _find(reference)
    with click_errors():
        part, steps = requests.open_sealed(report), requests.list_steps(report.id)
        if show_text and part.text:
            requests.record_look(report.id, StepAction.TEXT_READ, actor())
    print_request(report, part, steps, show_text=show_text)
    if part.reporter:
        click.echo("The reporter gave an address, and is informed once you have decided.")


@group.command("confirm")
@click.argument("reference")
def confirm(reference: str) -> None:
    """Close the account and erase it, here and in every tool. This can't be undone.

    The holder of the address is informed, and may complain. Where the holder says that it is
    wrong, make sure first, by what you know of the account.
    """
    _decide(reference, lambda report: requests.fulfil(report, actor()))


@group.command("dismiss")
@click.argument("reference")
def dismiss(reference: str) -> None:
    """Find a report wrong: what it paused goes on, and the holder of the address is informed.

    Another report about the same address within 90 days pauses nothing before you decide.
    """
    _decide(reference, lambda report: minors.dismiss(report.id, actor()))


def _decide(reference: str, act: Callable[[RightsRequest], RightsRequest]) -> None:
    report = _find(reference)
    with click_errors():
        decided = act(report)
    click.echo(request_line(decided, services().now()))


def _find(reference: str) -> RightsRequest:
    with click_bad_parameter("REFERENCE"):
        report = requests.find_by_reference(reference)
    if report.kind is not RequestKind.MINOR:
        raise click.BadParameter(
            "is another request: see flask rights show", param_hint="REFERENCE"
        )
    return report
