"""The values that a `MappedConnector` and its runtime exchange.

A target is what a vendor has for a topic: a group, a list, a stream, a subscription type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from preference_center.integrations.base.rate_limit import RateLimitHeaders


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
