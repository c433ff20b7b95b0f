"""Run `flask erasures` and `flask retention`.

`flask erasures` erases people, shows what is open in which tool, and replays the journal. `flask
retention` shows what the catalogue's rules would remove.
"""

from __future__ import annotations

from uuid import UUID

import click

from preference_center.catalogue import DEFAULT_RETENTION, RetainedData
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.addresses import Channel, mask_address, parse_address
from preference_center.core.errors import UnknownErasure
from preference_center.infra.commands import (
    SOURCE,
    CommandGroup,
    actor,
    click_bad_parameter,
    click_errors,
    format_count,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store.addresses import load_readable
from preference_center.rights.erasure import tasks as hand_tasks
from preference_center.rights.erasure.erase import erase_contacts
from preference_center.rights.erasure.journal import load_status
from preference_center.rights.erasure.journal import start_journal as start_journal_
from preference_center.rights.erasure.journal_store import MAX_UNWRITTEN
from preference_center.rights.erasure.replay import replay as replay_journal
from preference_center.rights.erasure.tasks import Erasure, ErasureTask, find_erasure, list_erasures
from preference_center.rights.retention import PlannedRemoval, plan_retention, retained_addresses
from preference_center.rights.rules.requests import Extent

_MAX_LISTED = 500


erasures_group = CommandGroup(
    "erasures", help="Erase people, see what is still open in which tool, replay the journal."
)


@erasures_group.command("add")
@click.option(
    "--extent",
    type=click.Choice([extent.value for extent in Extent]),
    required=True,
    help="marketing: this address's choices and history; service mail goes on."
    " account: the whole contact; nothing is sent any more.",
)
@click.option(
    "--channel",
    type=click.Choice([channel.value for channel in Channel]),
    default=Channel.EMAIL.value,
    show_default=True,
    help="The channel of the address.",
)
@click.option(
    "--notify/--no-notify",
    default=True,
    show_default=True,
    help="Mail the person a last notice; not if they know.",
)
def add(extent: str, channel: str, *, notify: bool) -> None:
    """Erase a person, here and in every tool. This can't be undone.

    The address is read from a prompt or standard input. Marketing stays off, by a keyed digest.

    Example: flask erasures add --extent account < address.txt
    """
    raw = click.prompt("Address", err=True)
    with click_bad_parameter("Address"):
        address = parse_address(raw, Channel(channel), region=services().settings.phone_region)
    origin = RequestOrigin(SOURCE, actor(), services().now())
    with click_errors():
        require_known_keys()
        ids = erase_contacts(
            [ContactRef(address=address)], Extent(extent), origin=origin, notify=notify
        )
    for erasure_id in ids:
        click.echo(str(erasure_id))
    _warn_without_journal()


@erasures_group.command("list")
@click.option("--all", "all_", is_flag=True, help="Also those that are finished.")
def list_(*, all_: bool) -> None:
    """List erasures that are under way, the newest first, and warn about the journal.

    Columns: id, begun, extent, tools done, when the address is forgotten at the latest.
    """
    with click_errors():
        found = run_in_transaction(lambda c: list_erasures(c, _MAX_LISTED, only_open=not all_))
    for each in found:
        done = sum(not task.is_open for task in each.tasks)
        tools = f"{done} of {len(each.tasks)} tools"
        kept = f"until {each.give_up_at:%Y-%m-%d}" if each.readable else "forgotten"
        click.echo(f"{each.id}\t{each.begun_at:%Y-%m-%d}\t{each.extent}\t{tools}\t{kept}")
    if not found:
        click.echo("Nothing is under way.", err=True)
    _print_journal()


@erasures_group.command("show")
@click.argument("erasure_id", metavar="ID", type=click.UUID)
def show(erasure_id: UUID) -> None:
    """Show one erasure: how far it is in each tool."""
    with click_errors():
        found = run_in_transaction(lambda c: find_erasure(c, erasure_id))
        if found is None:
            raise UnknownErasure("there is no such erasure: see flask erasures list --all")
    _print_erasure(found)


@erasures_group.command("tasks")
@click.option(
    "--show-address", is_flag=True, help="Show whom it is about. That you looked is recorded."
)
def tasks(*, show_address: bool) -> None:
    """List what a person has to erase in a tool, the longest waiting first.

    Do it there, then: flask erasures done ID TOOL --by NAME
    """
    with click_errors():
        found = hand_tasks.list_hand_tasks(actor(), with_addresses=show_address)
    for each in found:
        click.echo(f"{each.task.erasure_id}\t{each.task.destination}\t{each.task.reason}")
        if show_address:
            click.echo(f"    {each.address or 'the address was forgotten after 30 days'}")
        elif each.address:
            click.echo(f"    its address is kept until {each.give_up_at:%Y-%m-%d}")
    if not found:
        click.echo("Nothing waits for a person.", err=True)


@erasures_group.command("done")
@click.argument("erasure_id", metavar="ID", type=click.UUID)
@click.argument("tool")
@click.option("--by", "done_by", required=True, help="Who erased it there.")
def done(erasure_id: UUID, tool: str, done_by: str) -> None:
    """Record that somebody has erased the person in a tool.

    After the last tool the address is forgotten here, too.
    """
    with click_errors():
        finished = hand_tasks.end_hand_task(erasure_id, tool, done_by, actor())
    click.echo("Recorded; nothing is left to do." if finished else "Recorded.")


@erasures_group.command("replay")
def replay() -> None:
    """Erase again what the journal has and this database lacks, after a restore.

    It may be interrupted and repeated. Until it has run, /v1/ answers 503.
    """
    with click_errors():
        require_known_keys()
        count = replay_journal(lambda number: click.echo(f"up to file {number}", err=True))
        status = load_status()
    click.echo(f"{count} erasures replayed." if count else "No erasure was missing.")
    if status is None or status.head is None or status.problem:
        raise click.ClickException(status.problem if status and status.problem else "no journal")
    where = services().settings.erasure_journal
    click.echo(f"This database has the whole journal in {where}, to file {status.head.number}.")


@erasures_group.command("start-journal")
@click.confirmation_option(
    prompt="Was there never a journal, or is it lost for good? After a restore of the database an"
    " empty folder means that the right one is not mounted"
)
def start_journal() -> None:
    """Begin the journal in an empty ERASURE_JOURNAL, with all erasures of this database.

    Once, when the setting is new. Until then, /v1/ answers 503.
    """
    with click_errors():
        require_known_keys()
        count = start_journal_()
    click.echo(f"The journal has begun, with {count} erasures of before.")


def _print_erasure(erasure: Erasure) -> None:
    click.echo(f"erasure    {erasure.id}")
    click.echo(f"extent     {erasure.extent}")
    click.echo(f"request    {erasure.request_id or 'none'}")
    click.echo(f"begun      {erasure.begun_at.isoformat()}")
    ended = erasure.finished_at
    click.echo(f"finished   {ended.isoformat() if ended else 'not yet'}")
    click.echo(f"address    {'kept, sealed, for the tools' if erasure.readable else 'forgotten'}")
    for task in erasure.tasks:
        click.echo(f"  {task.destination}: {_describe(task)}")


def _describe(task: ErasureTask) -> str:
    if task.outcome:
        by = f", by {task.done_by}" if task.done_by else ""
        read = ", read back" if task.confirmed_at else ""
        return f"{task.outcome.replace('_', ' ')}{read}{by}"
    if task.by_hand_since:
        return f"waits for a person: {task.reason}"
    if task.erased_at:
        return "erased, to be read back"
    return "suppressed, to be erased" if task.suppressed_at else "to be suppressed first"


def _print_journal() -> None:
    _warn_without_journal()
    with click_errors():
        status = load_status()
    if status and status.problem:
        click.echo(f"Warning: {status.problem}.", err=True)
    if status and status.unwritten:
        count = format_count(status.unwritten, MAX_UNWRITTEN)
        click.echo(f"Warning: {count} erasures are not in the journal yet.", err=True)


def _warn_without_journal() -> None:
    if services().settings.erasure_journal is None:
        click.echo(
            "Warning: ERASURE_JOURNAL is not set: a restored backup would bring erased people"
            " back. See docs/rights.md.",
            err=True,
        )


_LISTED = 20


retention_group = CommandGroup(
    "retention",
    help="What is past its retention, as the catalogue's [retention] states it."
    " The scheduler removes it once a day; holds, restrictions and open requests are respected.",
)


@retention_group.command("plan")
@click.option(
    "--list",
    "is_listed",
    is_flag=True,
    help=f"Show to whom it belongs, masked: the first {_LISTED}.",
)
def plan(*, is_listed: bool) -> None:
    """Show what each rule would remove now; change nothing.

    Columns: kind, how many, kept until, ground.
    """
    _note_missing_rules()
    with click_errors():
        require_known_keys()
        for planned in plan_retention(services().now(), _show_progress):
            rule, count = planned.rule, str(len(planned.items))
            click.echo("\t".join((rule.kind, count, f"{rule.before:%Y-%m-%d}", rule.ground)))
            if is_listed:
                _list_owners(planned)


def _note_missing_rules() -> None:
    ruled = {*DEFAULT_RETENTION, *current_catalogue_or_empty().retention}
    if kept := [kind for kind in RetainedData if kind not in ruled]:
        click.echo(
            f"The catalogue has no [retention] rule for these, so they are kept for ever:"
            f" {', '.join(kept)}. See docs/catalogue.md",
            err=True,
        )


def _show_progress(kind: RetainedData, rows: int) -> None:
    click.echo(f"{kind}: looked at {rows:,} rows", err=True)


def _list_owners(planned: PlannedRemoval) -> None:
    ids = retained_addresses(planned)[:_LISTED]
    found = run_in_transaction(lambda connection: load_readable(connection, services().keys, ids))
    for channel, text in found.values():
        click.echo(f"    {mask_address(parse_address(text, channel))}")
