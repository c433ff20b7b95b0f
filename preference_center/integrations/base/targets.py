"""The values that a `MappedConnector` and its runtime exchange.

A target is what a vendor has for a topic: a group, a list, a stream, a subscription type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Target:
    """One target of the tool."""

    id: str
    name: str
    unusable_reason: str = ""
    """Why no topic may be mapped to it, with the remedy: "is archived: use another"."""


@dataclass(frozen=True, slots=True)
class OffState:
    """Why a target is off for one address."""

    reason: str
    is_opt_out: bool = True
    """Whether somebody said so. What is off without (a default, a mailbox that bounces) is
    reported only where it is wanted off (I13), and an opt-out is written all the same."""
    can_lift: bool = True
    """Whether we may turn it on again: never a complaint (I5)."""
    is_exact: bool = True
    """Whether the target itself is off. A wider switch may be turned back, so an opt-out is
    written all the same; and it is nothing that we could lift."""


@dataclass(frozen=True)
class RemoteContact:
    """What the tool says of one address that it has. A vendor may add fields by a subclass."""

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
    """What `look` found; None if it was not asked, or if the address is to be created."""
    since: datetime | None = None
    """When the newest of what turns it off was received (UTC)."""


class LookupMode(StrEnum):
    """Which addresses are looked up before they are written."""

    NONE = "none"
    LIFTS = "lifts"
    """Those with a lift, since the tool would also take back what is not ours (I5)."""
    ALL = "all"
    """Each, since the tool creates whom it does not know, or replaces what it holds."""


class TargetCheck(StrEnum):
    """When the tool is asked whether the mapped targets still exist."""

    ON_FAILURE = "in doubt"
    """When an address was absent or rejected: the target may be what is missing."""
    ALWAYS = "always"
    """Before each push: the tool acknowledges changes of a target that is gone, too."""


@dataclass(frozen=True, slots=True)
class ConnectorRules:
    """How a vendor's calls take addresses."""

    target_noun: str
    """The vendor's word for a target, in messages: "topic", "list"."""
    credentials_hint: str
    """What to check when the tool refuses the credentials: "the API key"."""
    group_size: int
    """The most addresses that one `look` or `write` is given."""
    by_target: bool = False
    """Whether one `write` is about one target in one direction; else about whole changes."""
    lookups: LookupMode = LookupMode.NONE
    max_lifts: int | None = None
    """The most lifts of one push, if fewer than a batch may hold end inside a lease: each is
    of one address and one target."""
    max_reads: int | None = None
    """The most lookups of one `read`, likewise: each is of one address, or of one address and
    one target if requests are `by_target`."""
    target_check: TargetCheck = TargetCheck.ON_FAILURE
    numeric_ids: bool = False
    """Whether the ids of targets are positive numbers."""
