"""Setting destinations up, and letting them be written to or not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from preference_center.destinations.connect import connect, connector
from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.sync.capabilities import Capabilities
from preference_center.domain.sync.destination import Destination, Status
from preference_center.domain.sync.plan import channels_of
from preference_center.errors import DestinationError, UnknownTopic
from preference_center.extensions import services
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import Setup
from preference_center.integrations.base.spec import LINK_TOPIC
from preference_center.integrations.base.webhook_only import unready
from preference_center.integrations.registry import ENTRIES, SetupError
from preference_center.integrations.webhooks import WEBHOOKS
from preference_center.ledger.backfilling import backfill
from preference_center.storage.access import audit
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run
from preference_center.storage.sync import backfills, destinations, listings
from preference_center.storage.sync.backfills import Backfill

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Wish:
    """A destination as somebody asks for it.

    `mapping` names the tool's own thing for a topic; `sends` are topics sent without one.
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
class Added:
    """A new destination in *observe*: how many suppressed addresses it would be told of.

    One that is only listened to has nothing to observe, and is active at once.
    """

    id: int
    rows: int
    report: Report
    only_listens: bool


def add(wish: Wish, actor: str, progress: Callable[[Backfill], None] | None = None) -> Added:
    """Check `wish` against the registry, the catalogue and the tool itself, and store it.

    Nothing is written to the tool before `resume`. Raises DestinationError that names
    every fault with its remedy, or KeyMismatch; nothing is stored then. Cut short during its
    back-fill, of which `progress` is told, it is stored, and workers go on with that.
    """
    require_known_keys()
    channels = _channels(wish, current_catalogue())
    setup = _setup(wish.name, wish.settings, wish.mapping, sends_service=wish.sends_service)
    report = _report(wish.kind, setup, wish.topics)
    _refuse(wish.name, report)
    capabilities = ENTRIES[wish.kind].able(wish.settings)

    def work(connection: Connection) -> int:
        context = services()
        number = destinations.add(
            connection,
            context.keys,
            name=wish.name,
            kind=wish.kind,
            settings=wish.settings,
            channels=channels,
            mapping=wish.mapping,
            sends=wish.topics,
            sends_service=wish.sends_service,
            can_lift=capabilities.can_lift,
            pulls=capabilities.can_pull,
            now=context.now(),
        )
        if capabilities.only_listens:
            destinations.set_status(connection, number, Status.ACTIVE)
        backfills.begin(connection, number, context.now())
        _note(connection, actor, "added", wish.name)
        return number

    number = run(work)
    return Added(number, backfill(number, progress), report, capabilities.only_listens)


def check(name: str) -> Report:
    """Ask the tool whether the destination may be sent to. Raises DestinationError."""
    destination = _by_name(name)
    try:
        report = connect(destination).check()
    except SetupError as error:
        return Report((str(error),))
    gone = _gone_topics(destination, current_catalogue())
    hints = _webhook_hints(destination.kind, destination.settings)
    return replace(report, problems=(*report.problems, *gone), hints=(*report.hints, *hints))


def change_settings(name: str, settings: Mapping[str, str], actor: str) -> None:
    """Replace some settings, e.g. a revoked key, if the tool is in order with them.

    One that is empty is taken away. Raises DestinationError with what to mend; the old
    settings stay then.
    """
    destination = _by_name(name)
    together = {k: value for k, value in {**destination.settings, **settings}.items() if value}
    service = destination.sends_service
    setup = _setup(name, together, destination.mapping, sends_service=service)
    _refuse(name, _report(destination.kind, setup, destination.sends))
    entry = ENTRIES[destination.kind]
    was, will = entry.able(destination.settings), entry.able(together)
    if will.only_listens and not was.only_listens:
        raise DestinationError(
            f"{name} could not be pushed to without {', '.join(sorted(entry.secrets))}: "
            "to stop that, pause it"
        )
    begins = was.only_listens and not will.only_listens
    wish = _wish(destination, together)
    channels = _channels(wish, current_catalogue()) if begins else frozenset()

    def work(connection: Connection) -> None:
        destinations.set_settings(connection, services().keys, name, together)
        if begins:
            _begin_to_push(connection, destination.id, channels, will)
        _note(connection, actor, "changed", name)

    run(work)


def _wish(destination: Destination, settings: Mapping[str, str]) -> Wish:
    """What would make `destination`, with other settings."""
    return Wish(
        name=destination.name,
        kind=destination.kind,
        settings=settings,
        mapping=destination.mapping,
        sends=destination.sends - destination.mapping.keys(),
        sends_service=destination.sends_service,
    )


def _begin_to_push(
    connection: Connection, number: int, channels: frozenset[Channel], able: Capabilities
) -> None:
    """Have what only reported so far treated like a new destination, in *observe*."""
    now = services().now()
    destinations.set_abilities(
        connection,
        number,
        channels=channels,
        can_lift=able.can_lift,
        pulled_at=None if able.can_pull else now,
    )
    destinations.set_status(connection, number, Status.OBSERVE)
    listings.forget(connection, number)
    backfills.begin_again(connection, number, now)


def pause(name: str, actor: str) -> None:
    """Write nothing more to the destination; its rows keep their clock (I3)."""
    _set_status(_by_name(name), Status.PAUSED, "paused by hand", actor)


def resume(
    name: str, actor: str, progress: Callable[[Backfill], None] | None = None
) -> Destination:
    """Let the destination be written to, if the tool is found in order.

    What is left of its back-fill is done first, and `progress` told of it. Also closes a
    circuit that is open. Raises DestinationError with what to mend.
    """
    destination = _by_name(name)
    _refuse(name, check(name))
    if destination.status is Status.OBSERVE:
        backfill(destination.id, progress)  # in case `add` was cut short
    _set_status(destination, Status.ACTIVE, "", actor)
    services().queue.nudge([destination.id])
    return destination


def _by_name(name: str) -> Destination:
    return run(lambda connection: destinations.by_name(connection, services().keys, name))


def _set_status(destination: Destination, status: Status, reason: str, actor: str) -> None:
    def work(connection: Connection) -> None:
        destinations.set_status(connection, destination.id, status, reason)
        _note(connection, actor, "resumed" if status is Status.ACTIVE else status, destination.name)

    run(work)


def _note(connection: Connection, actor: str, what: str, name: str) -> None:
    audit.append(connection, services().now(), actor, f"destination.{what}", {"name": name})


def _refuse(name: str, report: Report) -> None:
    if not report.ok:
        faults = "".join(f"\n- {problem}" for problem in report.problems)
        raise DestinationError(f"{name} is not in order yet:{faults}")


def _setup(
    name: str, settings: Mapping[str, str], mapping: Mapping[str, str], *, sends_service: bool
) -> Setup:
    channels = channels_of(mapping, current_catalogue())
    return Setup(name, settings, mapping, sends_service, channels)


def _report(kind: str, setup: Setup, topics: frozenset[str]) -> Report:
    try:
        report = connector(kind, setup).check()
    except SetupError as error:
        raise DestinationError(str(error)) from None
    return replace(
        report,
        problems=(*report.problems, *_link_faults(setup, topics)),
        hints=(*report.hints, *_webhook_hints(kind, setup.settings)),
    )


def _webhook_hints(kind: str, settings: Mapping[str, str]) -> list[str]:
    """Whether its webhook would be believed: it may be set up later, or never."""
    if kind not in WEBHOOKS or ENTRIES[kind].is_heard_only(settings):
        return []
    fault = unready(kind, settings, services().now())
    return [f"its webhook is not read yet: {fault}"] if fault else []


def _link_faults(setup: Setup, topics: frozenset[str]) -> list[str]:
    topic = setup.settings.get(LINK_TOPIC)
    if topic is None or topic in topics | {ALL_MARKETING}:
        return []
    there = ", ".join([*sorted(topics), ALL_MARKETING])
    return [f"{LINK_TOPIC}: {topic} is not sent through it: write one of {there}"]


def _channels(wish: Wish, catalogue: Catalogue) -> frozenset[Channel]:
    """The channels of what is sent. Raises DestinationError with all that is wrong."""
    if wish.kind not in ENTRIES:
        raise DestinationError(f"there is no connector of that kind: use {', '.join(ENTRIES)}")
    capabilities = ENTRIES[wish.kind].able(wish.settings)
    faults = [*_name_faults(wish.name), *_mapping_faults(wish, capabilities)]
    channels = set()
    for key in sorted(wish.topics):
        try:
            topic = catalogue.topic(key)
        except UnknownTopic as error:
            faults.append(f"{key}: {error}")
            continue
        channels.add(topic.channel)
        if topic.retired:
            faults.append(f"topic {key} is retired, nothing is sent about it: leave it out")
        if topic.channel not in capabilities.channels and not capabilities.only_listens:
            faults.append(
                f"topic {key} goes by {topic.channel}, which {wish.kind} has no addresses for: "
                "give it to another destination"
            )
    if faults:
        raise DestinationError("\n".join(faults))
    return frozenset(channels) & capabilities.channels


def _name_faults(name: str) -> list[str]:
    if _NAME.fullmatch(name):
        return []
    return ["write the name with a-z, 0-9 and - only, at most 63 of them"]


def _mapping_faults(wish: Wish, capabilities: Capabilities) -> list[str]:
    """Whether each topic has a thing of its own in the tool (I10)."""
    faults = []
    if not wish.topics and not capabilities.only_listens:
        faults.append("say what it sends: --topic our.topic=their-id, or --sends our.topic")
    bare = sorted(wish.sends - wish.mapping.keys())
    if capabilities.needs_mapping and bare:
        faults.append(
            f"{wish.kind} needs to know what {', '.join(bare)} is called there: "
            f"--topic {bare[0]}=their-id"
        )
    targets: dict[str, list[str]] = {}
    for topic, target in sorted(wish.mapping.items()):
        targets.setdefault(target, []).append(topic)
    faults += [
        f"topics {', '.join(topics)} share {target} in the tool, where one can't be turned "
        "off without the other: make one there for each"
        for target, topics in targets.items()
        if len(topics) > 1
    ]
    return faults


def _gone_topics(destination: Destination, catalogue: Catalogue) -> list[str]:
    return [
        f"topic {key} is not in the catalogue any more: put it back, or set the destination "
        "up anew without it"
        for key in sorted(destination.sends - catalogue.topics.keys())
    ]
