"""Which bounces suppress, for how long, and what a complaint stops: the company's policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from preference_center.core.classification import BounceClassification
from preference_center.core.events import ALL_MARKETING


@dataclass(frozen=True, slots=True)
class BounceThreshold:
    """How many bounces of one kind suppress, and on how many days (UTC) they must come.

    If `temporary`, for a time; else permanently. With 0 events: never.
    """

    events: int
    days: int = 1
    temporary: bool = True

    def describe(self) -> str:
        """For the catalogue's commands."""
        if not self.events:
            return "never"
        if self == AT_ONCE:
            return "at once"
        days = f" on {self.days} days" if self.days > 1 else ""
        return f"{self.events} events{days}, for {'now' if self.temporary else 'good'}"


NEVER = BounceThreshold(0)
AT_ONCE = BounceThreshold(1, temporary=False)
_TWICE = BounceThreshold(2, days=2)

DEFAULT_THRESHOLDS: Mapping[str, BounceThreshold] = {
    "5.1.0": _TWICE,  # "user unknown" with nothing to confirm it: see `classify_bounce`
    "5.1.1": AT_ONCE,
    "5.1.2": _TWICE,
    "5.1.3": AT_ONCE,
    "5.1.6": AT_ONCE,
    "5.1.10": AT_ONCE,  # null MX (RFC 7505)
    "5.2.1": _TWICE,
    "5.7.17": AT_ONCE,  # the owner of the mailbox, or of the domain, has changed (RFC 7293)
    "5.7.18": AT_ONCE,
}
"""RULES F10. Whatever is not in here never suppresses: full mailboxes (5.2.2), mails that
are too big (5.2.3), systems, networks, protocols and contents (5.3.x to 5.6.x),
the sender's reputation (other 5.7.x), and whatever is temporary (4.x.x)."""


class ComplaintStops(StrEnum):
    """What a spam complaint stops."""

    ALL_MARKETING = "all_marketing"
    TOPIC = "topic"
    """The topic of that mail, where it is known; else all marketing."""


@dataclass(frozen=True, slots=True)
class DeliverabilityPolicy:
    """`[deliverability]` of the catalogue; a code precedes its wider forms, `5.3.x`."""

    thresholds: Mapping[str, BounceThreshold] = field(default_factory=lambda: DEFAULT_THRESHOLDS)
    temporary_duration: timedelta = timedelta(days=30)
    """How long a suppression by counted bounces lasts, from the last of them."""
    counting_window: timedelta = timedelta(days=90)
    """How long a bounce counts."""
    complaints_stop: ComplaintStops = ComplaintStops.ALL_MARKETING

    def matching_code(self, code: str) -> str | None:
        """The code or wider form whose threshold holds for `code`; None if there is none."""
        return next((each for each in _code_forms(code) if each in self.thresholds), None)

    def threshold_for(self, code: str) -> BounceThreshold:
        """When bounces with this code suppress."""
        rule = self.matching_code(code)
        return NEVER if rule is None else self.thresholds[rule]


class BounceActionKind(StrEnum):
    """What is done about a bounce."""

    SUPPRESS = "suppress"
    """Permanently: only a newer own opt-in ends it."""
    SUPPRESS_TEMPORARILY = "suppress_temporarily"
    COUNT = "count"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class BounceAction:
    """An action and the classification behind it; `until` ends a temporary suppression (UTC)."""

    kind: BounceActionKind
    classification: BounceClassification
    until: datetime | None = None


def evaluate_bounce(
    policy: DeliverabilityPolicy,
    classification: BounceClassification,
    bounced_at: datetime,
    earlier_bounces: Sequence[datetime],
    now: datetime,
) -> BounceAction:
    """What is done about a bounce at `bounced_at`.

    `earlier_bounces` are the times of other bounces of that address under the same rule of
    the policy, older than the counting window or not. A suppression that would have ended
    by `now` is not begun.
    """
    threshold = policy.threshold_for(classification.code)
    if not threshold.events:
        return BounceAction(BounceActionKind.IGNORE, classification)
    since = now - policy.counting_window
    counted = [bounced_at, *earlier_bounces]
    counted = [at for at in counted if at > since]
    days = {at.astimezone(UTC).date() for at in counted}
    reached = threshold.events == 1 or (
        len(counted) >= threshold.events and len(days) >= threshold.days
    )
    if not reached:
        return BounceAction(
            BounceActionKind.COUNT if bounced_at > since else BounceActionKind.IGNORE,
            classification,
        )
    if not threshold.temporary:
        return BounceAction(BounceActionKind.SUPPRESS, classification)
    until = bounced_at + policy.temporary_duration
    if until <= now:
        return BounceAction(
            BounceActionKind.COUNT if bounced_at > since else BounceActionKind.IGNORE,
            classification,
        )
    return BounceAction(BounceActionKind.SUPPRESS_TEMPORARILY, classification, until)


def complaint_scope(policy: DeliverabilityPolicy, topic: str | None) -> str:
    """What a complaint about a mail of this topic stops; `topic` is None if unknown."""
    if policy.complaints_stop is ComplaintStops.TOPIC and topic is not None:
        return topic
    return ALL_MARKETING


def _code_forms(code: str) -> Iterator[str]:
    """`5.3.4`, `5.3.x`, `5.x.x`."""
    status, _, rest = code.partition(".")
    subject = rest.partition(".")[0]
    if subject:
        yield code
        yield f"{status}.{subject}.x"
        yield f"{status}.x.x"
