"""Whether a destination can be set up as it is asked for: the name, the settings, the mapping.

`permanent_link_builder` makes the permanent link of a contact, for a tool's custom field.
`topics_with_frequency` says of which topics a destination can hold how often they are wanted, and
in which fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Address, Channel
from preference_center.core.errors import DestinationError, UnknownTopic
from preference_center.core.events import ALL_MARKETING, SHARING
from preference_center.core.links.tokens import Link
from preference_center.core.sms_parts import excess_parts
from preference_center.destinations.connect import LEASE_DURATION, Lease, build_connector
from preference_center.destinations.rules.plan import channels_by_topic
from preference_center.destinations.rules.states import Destination
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys import link_keys as stored
from preference_center.integrations.base.contract import (
    FREQUENCY_FIELDS,
    LINK_FIELD,
    Capabilities,
    CheckReport,
    Connector,
    DestinationConfig,
    SupportsMapping,
    parse_frequency_fields,
)
from preference_center.integrations.base.integration import HELP_TEXT_SETTING, LINK_TOPIC
from preference_center.integrations.base.webhook_only import webhook_problem
from preference_center.integrations.registry import (
    DestinationConfigError,
    find_webhook,
    get_spec,
    list_kinds,
)


def permanent_link_builder(
    destination: Destination, catalogue: Catalogue
) -> Callable[[Address], str] | None:
    """A function that makes an address's link, the same each time; None if no field is set.

    Links lead to the page with all choices, and opt out of `link_topic`, else of the one topic
    that is sent, else of all marketing. They are revoked and reissued like a column of
    `flask links export`.
    """
    if not destination.settings.get(LINK_FIELD):
        return None
    context = services()
    since = run_in_transaction(
        lambda c: stored.enable_permanent_links(c, destination.id, context.now())
    )
    scope = _link_scope(destination)
    host = catalogue.host_for_scope(scope)

    def build_link(address: Address) -> str:
        link = Link(address, scope, "", since, destination_id=destination.id)
        return context.links.preferences_url(context.links.create_permanent_token(link), host)

    return build_link


def _link_scope(destination: Destination) -> str:
    stated = destination.settings.get(LINK_TOPIC)
    if stated:
        return stated
    return next(iter(destination.topics)) if len(destination.topics) == 1 else ALL_MARKETING


def topics_with_frequency(
    destination: Destination, capabilities: Capabilities, channel: Channel
) -> frozenset[str]:
    """The topics of which it holds how often an address of this channel wants them."""
    if capabilities.pushes_frequency:
        return destination.sends
    if capabilities.can_write_fields and channel.rules.is_email:
        return destination.sends & parse_frequency_fields(destination.settings).keys()
    return frozenset()


def frequency_problems(
    config: DestinationConfig, topics: frozenset[str], catalogue: Catalogue
) -> Iterator[str]:
    """What is wrong with the setting, each with its remedy; `topics` are those that it sends."""
    setting = config.settings.get(FREQUENCY_FIELDS)
    if setting is None:
        return
    fields = config.frequency_fields
    if len(fields) != len([part for part in setting.split(";") if part.strip()]):
        yield f"{FREQUENCY_FIELDS}: write topic=field, several separated by semicolons"
    if len(set(fields.values())) < len(fields):
        yield f"{FREQUENCY_FIELDS}: give each topic a field of its own"
    if config.link_field in fields.values():
        yield f"{FREQUENCY_FIELDS}: {config.link_field} holds links: name another field"
    for key in fields:
        topic = catalogue.topics.get(key)
        if key not in topics:
            yield f"{FREQUENCY_FIELDS}: {key} is not sent through it: leave it out"
        elif topic and not topic.frequencies:
            yield f"{FREQUENCY_FIELDS}: {key} offers no frequencies: add them to the catalogue"


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


def raise_for_problems(name: str, report: CheckReport) -> None:
    """Raises DestinationError with the problems of a check, if it found any."""
    if not report.ok:
        problems = "".join(f"\n- {problem}" for problem in report.problems)
        raise DestinationError(f"{name} can't be used yet:{problems}")


def build_config(
    name: str, settings: Mapping[str, str], mapping: Mapping[str, str], *, sends_service: bool
) -> DestinationConfig:
    """What a connector gets, with the channels of its topics."""
    channels = channels_by_topic(mapping, current_catalogue())
    return DestinationConfig(name, settings, mapping, sends_service, channels)


def check_config(kind: str, config: DestinationConfig, topics: frozenset[str]) -> CheckReport:
    """What the tool itself, and the settings about `topics`, say to this configuration.

    Takes as long as the tool, at most LEASE_DURATION. Raises DestinationError for settings that
    are missing or unknown.
    """
    report = _connect(kind, config).check()
    return replace(
        report,
        problems=(
            *report.problems,
            *_link_problems(config, topics),
            *frequency_problems(config, topics, current_catalogue()),
        ),
        hints=(*report.hints, *setting_hints(kind, config.settings)),
    )


def check_without_topics(kind: str, config: DestinationConfig) -> CheckReport:
    """What the tool says before topics are mapped: to the credentials, and which targets it has.

    Raises DestinationError.
    """
    connector = _connect(kind, config)
    report = connector.check()
    later = (
        set(connector.mapping_problems()) if isinstance(connector, SupportsMapping) else set[str]()
    )
    return replace(
        report, problems=tuple(problem for problem in report.problems if problem not in later)
    )


def _connect(kind: str, config: DestinationConfig) -> Connector:
    try:
        return build_connector(kind, config, check_lease())
    except DestinationConfigError as error:
        raise DestinationError(str(error)) from None


def check_lease() -> Lease:
    """How long a check may take: nobody waits for a rate limit or a slow tool without end."""
    now = services().now
    return Lease(now() + LEASE_DURATION, now)


def setting_hints(kind: str, settings: Mapping[str, str]) -> list[str]:
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


def validate_request(request: DestinationRequest, catalogue: Catalogue) -> frozenset[Channel]:
    """The channels of its topics. Raises DestinationError with every problem."""
    if request.kind not in list_kinds():
        raise DestinationError(f"there is no connector of that kind: use {', '.join(list_kinds())}")
    capabilities = get_spec(request.kind).capabilities_for(request.settings)
    problems = [*name_problems(request.name), *_mapping_problems(request, capabilities)]
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


def name_problems(name: str) -> list[str]:
    """What is wrong with a name, with the remedy."""
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


def missing_topic_problems(destination: Destination, catalogue: Catalogue) -> list[str]:
    """Topics that it sends and that the catalogue no longer has."""
    return [
        f"topic {key} is not in the catalogue any more: put it back, or set the destination "
        "up again without it"
        for key in sorted(destination.topics - catalogue.topics.keys())
    ]
