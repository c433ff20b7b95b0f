"""Add, check, change, pause and resume destinations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.core.errors import DestinationError
from preference_center.destinations.destinations_connect import connect
from preference_center.destinations.rules.destination import Destination, DestinationStatus
from preference_center.destinations.store import backfills, destinations, listings, undecided_events
from preference_center.destinations.store.backfilling import continue_backfill
from preference_center.destinations.store.backfills import Backfill
from preference_center.destinations.titles import title_hints
from preference_center.destinations.validation import (
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
from preference_center.integrations.base.contract import Capabilities, CheckReport
from preference_center.integrations.registry import DestinationConfigError, get_spec

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


def change_settings(name: str, settings: Mapping[str, str], actor: str) -> None:
    """Replace some settings, e.g. a revoked key, if the tool accepts them.

    An empty one is removed. Raises DestinationError with the problems; the old settings stay
    then.
    """
    destination = _by_name(name)
    merged = {k: value for k, value in {**destination.settings, **settings}.items() if value}
    service = destination.sends_service
    config = build_config(name, merged, destination.mapping, sends_service=service)
    raise_for_problems(name, check_config(destination.kind, config, destination.sends))
    spec = get_spec(destination.kind)
    old, new = spec.capabilities_for(destination.settings), spec.capabilities_for(merged)
    if new.webhook_only and not old.webhook_only:
        raise DestinationError(
            f"{name} could not be pushed to without {', '.join(sorted(spec.secret_settings))}: "
            "to stop that, pause it"
        )
    starts_pushing = old.webhook_only and not new.webhook_only
    request = _request_from(destination, merged)
    channels = validate_request(request, current_catalogue()) if starts_pushing else frozenset()

    def update(connection: Connection) -> None:
        destinations.set_settings(connection, services().keys, name, merged)
        if starts_pushing:
            _start_pushing(connection, destination.id, channels, new)
        _append_audit(connection, actor, "changed", name)

    run_in_transaction(update)


def _request_from(destination: Destination, settings: Mapping[str, str]) -> DestinationRequest:
    """The request that would add `destination`, with other settings."""
    return DestinationRequest(
        name=destination.name,
        kind=destination.kind,
        settings=settings,
        mapping=destination.mapping,
        sends=destination.sends - destination.mapping.keys(),
        sends_service=destination.sends_service,
    )


def _start_pushing(
    connection: Connection,
    destination_id: int,
    channels: frozenset[Channel],
    capabilities: Capabilities,
) -> None:
    """Treat a destination that was webhook-only like a new one, in *observe*."""
    now = services().now()
    destinations.set_capabilities(
        connection,
        destination_id,
        channels=channels,
        can_lift=capabilities.can_lift,
        pulled_at=None if capabilities.can_pull else now,
    )
    destinations.set_status(connection, destination_id, DestinationStatus.OBSERVE)
    listings.reset_listings(connection, destination_id)
    backfills.restart_backfill(connection, destination_id, now)


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


def remove_destination(name: str, actor: str) -> None:
    """Forget a destination that is not active: nothing is pushed to it or read from it again.

    What was delivered stays as proof, and its permanent links go on working. Its sync states are
    deleted by the scheduler, some thousands at a time. Raises DestinationError with the remedy.
    """
    destination = _by_name(name)
    if destination.status is DestinationStatus.ACTIVE:
        raise DestinationError(f"{name} is running: pause it first, so that nothing is under way")

    def delete(connection: Connection) -> None:
        if undecided_events.has_open_work(connection, destination.id):
            raise DestinationError(
                f"{name} has reported opt-outs that are not recorded or decided yet: see to them"
                " first (/console/review)"
            )
        destinations.delete_destination(connection, destination.id)
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
