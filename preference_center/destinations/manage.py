"""Add, check, change, pause and resume destinations."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from preference_center.context import services
from preference_center.destinations.connect import build_connector, connect
from preference_center.destinations.frequency_fields import frequency_problems
from preference_center.destinations.titles import title_hints
from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING, SHARING
from preference_center.domain.sms_parts import excess_parts
from preference_center.domain.sync.capabilities import Capabilities
from preference_center.domain.sync.destination import Destination, DestinationStatus
from preference_center.domain.sync.plan import channels_by_topic
from preference_center.errors import DestinationError, UnknownTopic
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import DestinationConfig
from preference_center.integrations.base.spec import LINK_TOPIC
from preference_center.integrations.base.text_messages import HELP_TEXT_SETTING
from preference_center.integrations.base.webhook_only import webhook_problem
from preference_center.integrations.registry import (
    DestinationConfigError,
    find_webhook,
    get_spec,
    list_kinds,
)
from preference_center.ledger.backfilling import backfill
from preference_center.storage.access import audit
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.sync import backfills, destinations, listings
from preference_center.storage.sync.backfills import Backfill

_NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class DestinationRequest:
    """The destination to be added.

    `mapping`: topic -> its target in the tool; `sends` are topics without one.
    """

    name: str
    kind: str
    settings: Mapping[str, str]
    mapping: Mapping[str, str]
    sends: frozenset[str]
    sends_service: bool = False

    @property
    def topics(self) -> frozenset[str]:
        """All topics that the destination sends."""
        return self.sends | self.mapping.keys()


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
    request: DestinationRequest, actor: str, progress: Callable[[Backfill], None] | None = None
) -> AddedDestination:
    """Check a request against the registry, the catalogue and the tool itself, and store it.

    Nothing is pushed to the tool before it is resumed. Raises DestinationError that names
    every problem with its remedy, or KeyMismatch; nothing is stored then. If interrupted
    during its back-fill, which reports to `progress`, it is stored, and workers go on.
    """
    require_known_keys()
    channels = _validate_request(request, current_catalogue())
    config = _build_config(
        request.name, request.settings, request.mapping, sends_service=request.sends_service
    )
    report = _check_config(request.kind, config, request.topics)
    _raise_for_problems(request.name, report)
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
    return AddedDestination(number, backfill(number, progress), report, capabilities.webhook_only)


def check_destination(name: str) -> CheckReport:
    """Check with the tool whether the destination can be pushed to. Raises DestinationError."""
    destination = _by_name(name)
    try:
        report = connect(destination).check()
    except DestinationConfigError as error:
        return CheckReport((str(error),))
    catalogue = current_catalogue()
    missing = _missing_topic_problems(destination, catalogue)
    hints = [*_hints(destination.kind, destination.settings), *title_hints(name, catalogue)]
    return replace(report, problems=(*report.problems, *missing), hints=(*report.hints, *hints))


def change_settings(name: str, settings: Mapping[str, str], actor: str) -> None:
    """Replace some settings, e.g. a revoked key, if the tool accepts them.

    An empty one is removed. Raises DestinationError with the problems; the old settings stay
    then.
    """
    destination = _by_name(name)
    merged = {k: value for k, value in {**destination.settings, **settings}.items() if value}
    service = destination.sends_service
    config = _build_config(name, merged, destination.mapping, sends_service=service)
    _raise_for_problems(name, _check_config(destination.kind, config, destination.sends))
    spec = get_spec(destination.kind)
    old, new = spec.capabilities_for(destination.settings), spec.capabilities_for(merged)
    if new.webhook_only and not old.webhook_only:
        raise DestinationError(
            f"{name} could not be pushed to without {', '.join(sorted(spec.secret_settings))}: "
            "to stop that, pause it"
        )
    starts_pushing = old.webhook_only and not new.webhook_only
    request = _request_from(destination, merged)
    channels = _validate_request(request, current_catalogue()) if starts_pushing else frozenset()

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
    name: str, actor: str, progress: Callable[[Backfill], None] | None = None
) -> Destination:
    """Let the destination be pushed to, if its check reports no problem.

    The rest of its back-fill is done first, which reports to `progress`. Also closes an open
    circuit. Raises DestinationError with the problems.
    """
    destination = _by_name(name)
    _raise_for_problems(name, check_destination(name))
    if destination.status is DestinationStatus.OBSERVE:
        backfill(destination.id, progress)  # in case `add_destination` was interrupted
    _set_status(destination, DestinationStatus.ACTIVE, "", actor)
    services().queue.nudge_sync([destination.id])
    return destination


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


def _raise_for_problems(name: str, report: CheckReport) -> None:
    if not report.ok:
        problems = "".join(f"\n- {problem}" for problem in report.problems)
        raise DestinationError(f"{name} can't be used yet:{problems}")


def _build_config(
    name: str, settings: Mapping[str, str], mapping: Mapping[str, str], *, sends_service: bool
) -> DestinationConfig:
    channels = channels_by_topic(mapping, current_catalogue())
    return DestinationConfig(name, settings, mapping, sends_service, channels)


def _check_config(kind: str, config: DestinationConfig, topics: frozenset[str]) -> CheckReport:
    try:
        report = build_connector(kind, config).check()
    except DestinationConfigError as error:
        raise DestinationError(str(error)) from None
    return replace(
        report,
        problems=(
            *report.problems,
            *_link_problems(config, topics),
            *frequency_problems(config, topics, current_catalogue()),
        ),
        hints=(*report.hints, *_hints(kind, config.settings)),
    )


def _hints(kind: str, settings: Mapping[str, str]) -> list[str]:
    """What is left undone with these settings, though nothing forbids sending."""
    setting = get_spec(kind).capabilities.erase_setting
    missing = setting and not settings.get(setting)
    erasing = [f"without {setting} people are erased there by hand"] if missing else []
    excess = excess_parts(settings.get(HELP_TEXT_SETTING, ""))
    parts = [f"{HELP_TEXT_SETTING} {excess}"] if excess else []
    return [*_webhook_hints(kind, settings), *erasing, *parts]


def _webhook_hints(kind: str, settings: Mapping[str, str]) -> list[str]:
    """Whether its webhook can be verified: it may be set up later, or never."""
    webhook = find_webhook(kind)
    if webhook is None or get_spec(kind).is_webhook_only(settings):
        return []
    problem = webhook_problem(webhook, settings, services().now())
    return [f"its webhook is not processed yet: {problem}"] if problem else []


def _link_problems(config: DestinationConfig, topics: frozenset[str]) -> list[str]:
    topic = config.settings.get(LINK_TOPIC)
    if topic is None or topic in topics | {ALL_MARKETING}:
        return []
    allowed = ", ".join([*sorted(topics), ALL_MARKETING])
    return [f"{LINK_TOPIC}: {topic} is not sent through it: write one of {allowed}"]


def _validate_request(request: DestinationRequest, catalogue: Catalogue) -> frozenset[Channel]:
    """The channels of its topics. Raises DestinationError with every problem."""
    if request.kind not in list_kinds():
        raise DestinationError(f"there is no connector of that kind: use {', '.join(list_kinds())}")
    capabilities = get_spec(request.kind).capabilities_for(request.settings)
    problems = [*_name_problems(request.name), *_mapping_problems(request, capabilities)]
    channels = set(capabilities.channels) if SHARING in request.topics else set()
    for key in sorted(request.topics - {SHARING}):
        try:
            topic = catalogue.topic(key)
        except UnknownTopic as error:
            problems.append(f"{key}: {error}")
            continue
        channels.add(topic.channel)
        if topic.retired:
            problems.append(f"topic {key} is retired, nothing is sent about it: leave it out")
        if topic.channel not in capabilities.channels and not capabilities.webhook_only:
            problems.append(
                f"topic {key} is sent by {topic.channel}, which {request.kind} does not hold: "
                "give it to another destination"
            )
    if problems:
        raise DestinationError("\n".join(problems))
    return frozenset(channels) & capabilities.channels


def _name_problems(name: str) -> list[str]:
    if _NAME_PATTERN.fullmatch(name):
        return []
    return ["write the name with a-z, 0-9 and - only, at most 63 of them"]


def _mapping_problems(request: DestinationRequest, capabilities: Capabilities) -> list[str]:
    """Whether each topic has its own target in the tool (I10)."""
    problems = []
    if capabilities.shares_only:
        if request.topics != {SHARING}:
            problems.append(
                f"{request.kind} sends nothing, and is used for advertising: --topic"
                f" {SHARING}=their-id, and no other topic"
            )
    elif not request.topics and not capabilities.webhook_only:
        problems.append("name what it sends: --topic our.topic=their-id, or --sends our.topic")
    bare = sorted(request.sends - request.mapping.keys())
    if capabilities.needs_mapping and bare:
        problems.append(
            f"{request.kind} needs the targets of {', '.join(bare)} in the tool: "
            f"--topic {bare[0]}=their-id"
        )
    targets: dict[str, list[str]] = {}
    for topic, target in sorted(request.mapping.items()):
        targets.setdefault(target, []).append(topic)
    problems += [
        f"topics {', '.join(topics)} share {target} in the tool, where one can't be turned "
        "off without the other: make one there for each"
        for target, topics in targets.items()
        if len(topics) > 1
    ]
    return problems


def _missing_topic_problems(destination: Destination, catalogue: Catalogue) -> list[str]:
    return [
        f"topic {key} is not in the catalogue any more: put it back, or set the destination "
        "up again without it"
        for key in sorted(destination.topics - catalogue.topics.keys())
    ]
