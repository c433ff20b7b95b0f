"""This module checks a destination's mapping of topics to targets, before anything is sent (I10).

It also defines the values that a `MappedConnector` and its runtime exchange. A target is what a
vendor has for a topic: a group, a list, a stream, a subscription type.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from preference_center.integrations.base.contract import (
    Capabilities,
    DestinationConfig,
    PushItem,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import RateLimitHeaders


def mapping_problems(
    config: DestinationConfig, target_noun: str, *, numeric_ids: bool = True
) -> tuple[str, ...]:
    """Problems of a mapping from topics to targets of a tool, each with its remedy.

    A target that carries two topics can't turn one of them off alone. With `numeric_ids`, a
    name such as "global" is no target but a switch that stops everything, service mail too
    (F2); elsewhere `check` finds it missing among the tool's targets.
    """
    problems = []
    if not config.topics:
        problems.append(
            f"no topic is mapped: map each topic this destination sends to a {target_noun}"
        )
    carried: defaultdict[str, list[str]] = defaultdict(list)
    for topic, target in sorted(config.topics.items()):
        if not numeric_ids:
            carried[target].append(topic)
        elif not (target.isascii() and target.isdigit() and int(target) > 0):
            problems.append(
                f"topic {topic} is mapped to {target!r}, which is no {target_noun} id (a positive "
                f"number): map it to a {target_noun} of its own, never to a global unsubscribe"
            )
        else:
            carried[str(int(target))].append(topic)
    problems += [
        f"topics {', '.join(topics)} share {target_noun} {target}, where one can't be turned off "
        f"without the other: make a {target_noun} for each"
        for target, topics in carried.items()
        if len(topics) > 1
    ]
    return tuple(problems)


def account_switch_problems(
    config: DestinationConfig, switch: str, target_noun: str
) -> Iterator[str]:
    """Problems of mapping a topic to `switch`, which stops all that the account sends.

    It may only stand for the one topic of an account without service mail (I10).
    """
    whole = sorted(topic for topic, target in config.topics.items() if target == switch)
    others = sorted(config.topics.keys() - set(whole))
    if whole and others:
        yield (
            f"topic {whole[0]} is mapped to {switch}, which would stop {', '.join(others)} too: "
            f"make a {target_noun} for each"
        )
    if whole and config.sends_service:
        yield (
            f"{switch} would stop the service mail that goes through this account: map the topic "
            f"to a {target_noun} of its own, or send service mail by other means (I10)"
        )


def all_mail_switch_problems(
    config: DestinationConfig, setting: str, target_noun: str
) -> Iterator[str]:
    """Faults of the setting by which opt-outs from all marketing set a vendor's own switch."""
    value = config.settings.get(setting, "no")
    if value not in {"yes", "no"}:
        yield f"{setting}: write yes or no"
    if value == "yes" and config.sends_service:
        yield (
            f"{setting} would stop the service mail that goes through this account: remove the "
            f"setting, so that opt-outs are held by {target_noun}s alone (I10)"
        )


def single_switch_problems(
    config: DestinationConfig, switch: str, message_noun: str
) -> tuple[str, ...]:
    """Problems of a mapping for a channel of which the tool can only stop all, by `switch`.

    `message_noun` is what is sent by it, in the singular.
    """
    problems = list(mapping_problems(config, f"switch for every {message_noun}", numeric_ids=False))
    problems += [
        f"topic {topic} is mapped to {target!r}: map it to {switch}, which stops every "
        f"{message_noun}, or take it from the destination"
        for topic, target in sorted(config.topics.items())
        if target != switch
    ]
    return tuple(problems)


def validate_batch(
    batch: Sequence[PushItem], config: DestinationConfig, capabilities: Capabilities
) -> None:
    """Raise UnsupportedByDestination for a batch that the tool can't hold exactly.

    All of it is refused before anything is sent: the problem is the set-up, not an address. Raises
    ValueError when the batch is longer than `capabilities.batch_size`.
    """
    if len(batch) > capabilities.batch_size:
        raise ValueError(f"{len(batch)} items; at most {capabilities.batch_size} fit a batch")
    channels = {item.channel for item in batch} - capabilities.channels
    if channels:
        raise UnsupportedByDestination(
            f"{config.name} holds no {', '.join(sorted(channels))} addresses: "
            "send them to a destination that does"
        )
    if not capabilities.can_lift and any(item.lift for item in batch):
        raise UnsupportedByDestination(f"{config.name} can't turn a topic back on: leave it off")
    if capabilities.needs_mapping:
        named: set[str] = set().union(*(item.off | item.lift for item in batch))
        if unmapped := named - config.topics.keys():
            raise UnsupportedByDestination(
                f"{config.name} maps no {', '.join(sorted(unmapped))}: map it, "
                "or take the topic from the destination"
            )


@dataclass(frozen=True, slots=True)
class Target:
    """One target of the tool."""

    id: str
    name: str
    unusable_reason: str = ""
    """Why no topic may be mapped to it, with the remedy: "is archived: use another"."""

    @property
    def label(self) -> str:
        """Its name and id, for a list of targets."""
        same = self.name.casefold() == self.id.casefold()
        return self.name if same else f"{self.name} ({self.id})"


@dataclass(frozen=True, slots=True)
class OffState:
    """Why a target is off for one address."""

    reason: str
    is_opt_out: bool = True
    """Whether a person turned it off. What is off otherwise (a default, a mailbox that bounces)
    is reported only where it is wanted off (I13), and an opt-out is written all the same."""
    can_lift: bool = True
    """Whether we may turn it on again: never a complaint (I5)."""
    is_exact: bool = True
    """Whether the target itself is off. A wider switch may be turned back, so an opt-out is
    written all the same; and it is nothing that we could lift."""


@dataclass(frozen=True)
class RemoteContact:
    """What the tool holds of one address that it has. A vendor may add fields by a subclass."""

    off_targets: Mapping[str, OffState] = field(default_factory=dict)
    """Id of each target that is off -> why."""


@dataclass(frozen=True, slots=True)
class TargetChange:
    """What is to be changed for one address, in ids of targets."""

    ref: int
    address: str
    off: frozenset[str] = frozenset()
    on: frozenset[str] = frozenset()
    contact: RemoteContact | None = None
    """What `fetch_contacts` found; None if it was not asked, or the address is to be created."""
    since: datetime | None = None
    """When the newest of what turns it off was received (UTC)."""
    all_off: bool = False
    """Whether the opt-out covers all marketing, not only the topics of the destination."""

    @property
    def target(self) -> str:
        """The target of a change of one target in one direction."""
        (target,) = self.off or self.on
        return target


class LookupMode(StrEnum):
    """Which addresses are looked up before they are written."""

    NONE = "none"
    LIFTS = "lifts"
    """Those with a lift, since the tool would also take back what is not ours (I5)."""
    ALL = "all"
    """Each, since the tool creates whom it does not know, or replaces what it holds."""


class TargetCheck(StrEnum):
    """When the tool is asked whether the mapped targets still exist."""

    NEVER = "never"
    """Targets need not exist (tags), or the vendor's methods raise where one is gone."""
    ON_REJECTION = "on rejection"
    """When a request was rejected as a whole: the vendor reports a target that is gone."""
    ON_FAILURE = "in doubt"
    """Also when an address was absent or rejected: the target may be what is missing."""
    ALWAYS = "always"
    """Before each push: the tool acknowledges changes of a target that is gone, too."""


@dataclass(frozen=True, slots=True)
class ConnectorRules:
    """The facts of a vendor's API that the runtime needs."""

    target_noun: str
    """The vendor's word for a target, in messages: "topic", "list"."""
    credentials_hint: str
    """What to check when the vendor refuses the credentials: "the API key"."""
    group_size: int = 1
    """The most addresses that one `fetch_contacts` or `write_changes` is given."""
    api_url: str = ""
    """The base URL, unless the `url_setting` names another."""
    url_setting: str = "base_url"
    key_header: str = ""
    """The header that the setting `api_key` is sent in, for vendors with one of their own."""
    bearer_setting: str = ""
    """The setting whose value is sent as a bearer token (RFC 6750), for vendors that take one."""
    rate_limit_headers: RateLimitHeaders | None = None
    """Reads the vendor's own headers about its rate limit; Retry-After needs none."""
    by_target: bool = False
    """Whether one write is about one target in one direction; else about whole changes."""
    lift_group_size: int | None = None
    """The most addresses of one write that turns a target on, where it differs from
    `group_size`. Such a write is then about one target, after all opt-outs."""
    lookups: LookupMode = LookupMode.NONE
    compares_contacts: bool = False
    """Whether `write_changes` compares a contact itself, and is given whole changes; else only
    what `fetch_contacts` shows to differ. For vendors where an address has more than targets
    that are on or off."""
    max_changes: int | None = None
    """The most addresses of one push, if fewer than a batch may hold end inside a lease."""
    max_lifts: int | None = None
    """The most lifts of one push, likewise: each is of one address and one target."""
    max_reads: int | None = None
    """The most lookups of one `read`, likewise: each is of one address, or of one address and
    one target if requests are `by_target`."""
    target_check: TargetCheck = TargetCheck.ON_FAILURE
    numeric_ids: bool = False
    """Whether the ids of targets are positive numbers."""
    all_mail_setting: str = ""
    """The optional setting, "yes" or "no", by which an opt-out from all marketing also sets the
    vendor's own switch for all mail; see `ApiConnector.sets_all_mail_switch`."""
    account_target: str = ""
    """What a topic may be mapped to that stands for all the account sends, and is no target;
    only as the one topic of an account without service mail (I10)."""
