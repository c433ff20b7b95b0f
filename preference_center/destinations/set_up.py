"""These functions add, check, pause and resume destinations, and preview a connection.

A preview computes what connecting a tool would do, without writing anything. People read the title
of a destination from the catalogue, never its internal name. `webhook_url` is the URL that a tool
is to post its events to; `find_text_number` finds the number that people text START to, to turn
text messages on again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from flask_babel import gettext as _

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.core.errors import DestinationError
from preference_center.core.keys import Keys
from preference_center.destinations.connect import Lease, connect
from preference_center.destinations.ingest import preview_ingest
from preference_center.destinations.rules.states import (
    Destination,
    DestinationStatus,
    PermanentCondition,
)
from preference_center.destinations.store import backfills, destinations, webhooks
from preference_center.destinations.store.backfills import Backfill, continue_backfill
from preference_center.destinations.store.destinations import (
    list_destinations,
    list_names,
    list_names_without_lifts,
)
from preference_center.destinations.validate import (
    DestinationRequest,
    build_config,
    check_config,
    check_lease,
    missing_topic_problems,
    raise_for_problems,
    setting_hints,
    validate_request,
)
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.integrations.base.contract import (
    CheckReport,
    Connector,
    SupportsPull,
)
from preference_center.integrations.base.integration import NUMBER_SETTING
from preference_center.integrations.base.webhook import SECRET_SETTING
from preference_center.integrations.registry import DestinationConfigError, find_webhook, get_spec
from preference_center.web.languages import page_language


@dataclass(frozen=True, slots=True)
class SystemTitles:
    """The titles of destinations, in the language of the page, email or file being written.

    `names` are all destinations, the oldest first: those without a title are numbered among
    them, so that one has the same number wherever people read of it.
    """

    catalogue: Catalogue
    names: Sequence[str]

    def __call__(self, name: str) -> str:
        """The title of the destination of this name, which may have been removed since."""
        recipient = self.catalogue.recipients.get(name)
        if recipient:
            return self.catalogue.localize(recipient.title, page_language())
        untitled = [each for each in self.names if each not in self.catalogue.recipients]
        if name not in untitled:
            return str(_("A system that we no longer use"))
        if len(untitled) == 1:
            return str(_("A system that sends our messages"))
        number = untitled.index(name) + 1
        return str(_("A system that sends our messages (%(number)s)", number=number))


def load_system_titles(connection: Connection, catalogue: Catalogue) -> SystemTitles:
    """The titles of all destinations that there are now."""
    return SystemTitles(catalogue, list_names(connection))


def title_hints(name: str, catalogue: Catalogue) -> list[str]:
    """For staff: that people read no name for this destination, if so, and the remedy."""
    if name in catalogue.recipients:
        return []
    remedy = f"add [destinations.{name}] to the catalogue (docs/catalogue.md)"
    return [f"it has no title, so people read “A system that sends our messages”: {remedy}"]


def list_one_way_titles(
    connection: Connection, catalogue: Catalogue, topics: Collection[str]
) -> list[str]:
    """The titles of those that send any of `topics` and can neither pause nor lift (I10)."""
    names = list_names_without_lifts(connection, topics)
    if not names:  # the usual case, on a page that many open: one query
        return []
    titles = load_system_titles(connection, catalogue)
    return [titles(name) for name in names]


Stop = Callable[[], bool]


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class AddedDestination:
    """A new destination in *observe*; `backfill_rows` suppressed addresses would be pushed to it.

    A webhook-only one has nothing to observe, and is active at once.
    """

    id: int
    backfill_rows: int
    report: CheckReport
    webhook_only: bool


def add_destination(
    request: DestinationRequest,
    actor: str,
    progress: Callable[[Backfill], None] | None = None,
    stop: Stop = _never,
) -> AddedDestination:
    """Check a request against the registry, the catalogue and the tool itself, and store it.

    Nothing is pushed to the tool before it is resumed. Raises DestinationError that names
    every problem with its remedy, or KeyMismatch; nothing is stored then. If interrupted
    during its back-fill, which reports to `progress`, or once `stop()` is true, it is stored,
    and workers go on.
    """
    channels, report = check_request(request)
    capabilities = get_spec(request.kind).capabilities_for(request.settings)

    def insert(connection: Connection) -> int:
        context = services()
        number = destinations.insert_destination(
            connection,
            context.keys,
            name=request.name,
            kind=request.kind,
            settings=request.settings,
            channels=channels,
            mapping=request.mapping,
            sends=request.topics,
            sends_service=request.sends_service,
            can_lift=capabilities.can_lift,
            wait_for_pull=capabilities.can_pull,
            now=context.now(),
        )
        if capabilities.webhook_only:
            destinations.set_status(connection, number, DestinationStatus.ACTIVE)
        backfills.start_backfill(connection, number, context.now())
        _append_audit(connection, actor, "added", request.name)
        return number

    number = run_in_transaction(insert)
    rows = continue_backfill(number, stop, progress).rows_created
    return AddedDestination(number, rows, report, capabilities.webhook_only)


def check_request(request: DestinationRequest) -> tuple[frozenset[Channel], CheckReport]:
    """Check as `add_destination` does, and store nothing: the channels, and what the tool says."""
    require_known_keys()
    channels = validate_request(request, current_catalogue())
    config = build_config(
        request.name, request.settings, request.mapping, sends_service=request.sends_service
    )
    report = check_config(request.kind, config, request.topics)
    raise_for_problems(request.name, report)
    return channels, report


def check_destination(name: str) -> CheckReport:
    """Check with the tool whether the destination can be pushed to. Raises DestinationError."""
    destination = _by_name(name)
    try:
        report = connect(destination, check_lease()).check()
    except DestinationConfigError as error:
        return CheckReport((str(error),))
    catalogue = current_catalogue()
    missing = missing_topic_problems(destination, catalogue)
    hints = [*setting_hints(destination.kind, destination.settings), *title_hints(name, catalogue)]
    return replace(report, problems=(*report.problems, *missing), hints=(*report.hints, *hints))


def pause_destination(name: str, actor: str) -> None:
    """Push nothing more to the destination; its rows keep their deadlines (I3)."""
    _set_status(_by_name(name), DestinationStatus.PAUSED, "paused by hand", actor)


def resume_destination(
    name: str,
    actor: str,
    progress: Callable[[Backfill], None] | None = None,
    stop: Stop = _never,
) -> Destination:
    """Let the destination be pushed to, if its check reports no problem.

    The rest of its back-fill is done first, which reports to `progress`; once `stop()` is true,
    workers do it. Also closes an open circuit. Raises DestinationError with the problems.
    """
    destination = _by_name(name)
    raise_for_problems(name, check_destination(name))
    if destination.status is DestinationStatus.OBSERVE:
        continue_backfill(destination.id, stop, progress)  # `add_destination` may have stopped
    _set_status(destination, DestinationStatus.ACTIVE, "", actor)
    services().queue.nudge_sync([destination.id])
    return destination


def accept_condition(
    name: str, condition: PermanentCondition, actor: str, *, is_accepted: bool = True
) -> None:
    """Let no alert tell of it any more, since a person has understood why it is so; or again.

    Raises DestinationError if there is no such destination.
    """
    destination, now = _by_name(name), services().now()

    def update(connection: Connection) -> None:
        at = now if is_accepted else None
        destinations.set_accepted(connection, destination.id, condition, at)
        action = "destination.accepted" if is_accepted else "destination.not_accepted"
        detail = {"name": name, "condition": condition}
        audit.insert_audit_entry(connection, now, actor, action, detail)

    run_in_transaction(update)


def remove_destination(name: str, actor: str) -> None:
    """Forget a destination that is not active: nothing is pushed to it or read from it again.

    What was delivered stays as proof, and its permanent links go on working. Its sync states are
    deleted by the scheduler, some thousands at a time. Raises DestinationError with the remedy.
    """

    def delete(connection: Connection) -> None:
        destination = destinations.get_by_name(connection, services().keys, name, lock=True)
        if destination.status is DestinationStatus.ACTIVE:
            raise DestinationError(
                f"{name} is running: pause it first, so that nothing is under way"
            )
        destinations.delete_destination(connection, destination.id)
        # After the deletion, which waits for webhooks that are being stored.
        if webhooks.has_open_work(connection, destination.id):
            raise DestinationError(
                f"{name} has reported opt-outs that are not recorded or decided yet: see to them"
                " first (/console/review)"
            )
        detail = {"name": name, "id": str(destination.id), "kind": destination.kind}
        audit.insert_audit_entry(connection, services().now(), actor, "destination.removed", detail)

    run_in_transaction(delete)


def _by_name(name: str) -> Destination:
    return run_in_transaction(
        lambda connection: destinations.get_by_name(connection, services().keys, name)
    )


def _set_status(
    destination: Destination, status: DestinationStatus, reason: str, actor: str
) -> None:
    def update(connection: Connection) -> None:
        destinations.set_status(connection, destination.id, status, reason)
        _append_audit(
            connection,
            actor,
            "resumed" if status is DestinationStatus.ACTIVE else status,
            destination.name,
        )

    run_in_transaction(update)


def _append_audit(connection: Connection, actor: str, action: str, name: str) -> None:
    audit.insert_audit_entry(
        connection, services().now(), actor, f"destination.{action}", {"name": name}
    )


def webhook_url(name: str, kind: str, settings: Mapping[str, str]) -> str | None:
    """The URL without the secret itself; None if tools of this kind have no webhook."""
    webhook = find_webhook(kind)
    if webhook is None:
        return None
    url = f"{services().links.public_url}/in/{name}"
    if webhook.secret_in_path and settings.get(SECRET_SETTING):
        url += f"/{SECRET_SETTING.upper()} (append the secret itself)"
    return url


def find_text_number(connection: Connection, keys: Keys, topics: Collection[str]) -> str | None:
    """The number of the first destination by name that has one; None if none has.

    One that is mapped to topics counts only if one of `topics` is among them.
    """
    for destination in list_destinations(connection, keys):
        number = destination.settings.get(NUMBER_SETTING)
        if number and (not destination.mapping or destination.mapping.keys() & {*topics}):
            return number
    return None


@dataclass(frozen=True, slots=True)
class SyncPreview:
    """What would be pushed, and what would be ingested.

    `ingest_counts` counts events by kind and scope; None if the tool's opt-outs can't be
    listed. `reported_count` is how many the tool reported, including our own and those of
    targets that are not mapped.
    """

    destination: Destination
    push_count: int
    ingest_counts: Counter[tuple[str, str]] | None
    reported_count: int = 0
    is_complete: bool = True
    """Whether all that the tool lists was read."""


def preview_destination(
    name: str,
    progress: Callable[[int], None] = lambda _: None,
    *,
    stop: Callable[[], bool] = lambda: False,
    max_pushes: int | None = None,
    lease: Lease | None = None,
) -> SyncPreview:
    """Read all opt-outs of the tool; `progress` is called with the number read so far.

    For somebody who waits: `stop` ends it after a page of what the tool lists, what would be
    pushed is counted to `max_pushes`, and no request begins after the end of `lease`.
    Raises DestinationError for an unknown name, DeliveryError if the tool can't be read.
    """
    context = services()
    destination = run_in_transaction(lambda c: destinations.get_by_name(c, context.keys, name))
    pushes = run_in_transaction(lambda c: destinations.count_pending(c, destination.id, max_pushes))
    connector = connect(destination, lease)
    if not connector.capabilities.can_pull:
        return SyncPreview(destination, pushes, None)
    counts, reported, is_complete = _preview_ingest(destination, connector, progress, stop)
    return SyncPreview(destination, pushes, counts, reported, is_complete)


def _preview_ingest(
    destination: Destination,
    connector: Connector,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
) -> tuple[Counter[tuple[str, str]], int, bool]:
    counts: Counter[tuple[str, str]] = Counter()
    reported, cursor, done = 0, None, False
    while not done and not (cursor is not None and stop()):
        page = cast("SupportsPull", connector).pull(cursor)
        changes = preview_ingest(destination, connector, page.rows)
        counts.update((change.kind.value, change.scope) for change in changes)
        reported += len(page.rows)
        cursor, done = page.cursor, page.done
        progress(reported)
    return counts, reported, done
