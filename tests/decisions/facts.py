"""Facts about a topic, and what senders send: for tests of decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from preference_center.catalogue import (
    AfterClosingGround,
    MessageClass,
    MessageType,
    ServiceGround,
    Topic,
    TopicDefault,
)
from preference_center.core.addresses import Channel
from preference_center.core.events import (
    EVERYTHING,
    RESTRICTION,
    UNDELIVERABLE,
    DatedFrequency,
    EventKind,
    ScopeFact,
    ScopeState,
    Timestamped,
)
from tests.core.histories import NEWS, NOW, OFFERS

MINUTE = timedelta(minutes=1)
DAILY, WEEKLY, MONTHLY = "daily", "weekly", "monthly"
TITLES = {key: {"en": key} for key in (DAILY, WEEKLY, MONTHLY)}
NEWSLETTER = MessageType("newsletter", MessageClass.MARKETING, NEWS)
INVOICE = MessageType("invoice", MessageClass.SERVICE, ground=ServiceGround.BILLING)
LAST_INVOICE = replace(
    INVOICE, after_closing=True, after_closing_ground=AfterClosingGround.FINAL_INVOICE
)
ON = Topic(NEWS, "acme", Channel.EMAIL, TopicDefault.OPT_OUT, "news", {}, {})
OFF = replace(ON, default=TopicDefault.OPT_IN)


def mark(minute: int) -> Timestamped:
    return Timestamped(NOW + minute * MINUTE, UUID(int=10_000 + minute))


def off(
    scope: str = NEWS, at: int = -10, kind: EventKind = EventKind.OPTED_OUT, *, exact: bool = True
) -> ScopeFact:
    return ScopeFact(scope, exact, ScopeState(opt_out=mark(at), reason=kind))


def on(scope: str = NEWS, at: int = -5, *, exact: bool = True) -> ScopeFact:
    """An own opt-in; of a topic it is a consent too."""
    consent = mark(at) if scope in {NEWS, OFFERS} else None
    return ScopeFact(scope, exact, ScopeState(lift=mark(at), consent=consent))


def consent(at: int = -5, *, exact: bool = True) -> ScopeFact:
    return ScopeFact(NEWS, exact, ScopeState(consent=mark(at)))


def pause(scope: str = NEWS, at: int = -10, until: int = 60, *, exact: bool = True) -> ScopeFact:
    return ScopeFact(scope, exact, ScopeState(pause=mark(at), pause_until=NOW + until * MINUTE))


def chose(key: str, at: int = -10, *, exact: bool = True, rank: int = 0) -> ScopeFact:
    chosen = DatedFrequency(NOW + at * MINUTE, rank, UUID(int=1000 + at), key)
    return ScopeFact(NEWS, exact, ScopeState(frequency=chosen))


CLOSED = off(EVERYTHING, kind=EventKind.DEACTIVATED)
CLOSED_NEARBY = off(EVERYTHING, kind=EventKind.DEACTIVATED, exact=False)
"""Of another form of the mailbox: it may be another contact's."""
ERASED = off(EVERYTHING, kind=EventKind.ERASED)
BOUNCED = off(UNDELIVERABLE, kind=EventKind.BOUNCED)
BOUNCING = pause(UNDELIVERABLE)
BOUNCED_ONCE = pause(UNDELIVERABLE, until=-1)
REOPENED = on(EVERYTHING)
RESTRICTED = off(RESTRICTION, kind=EventKind.RESTRICTED)
RESTRICTED_NEARBY = off(RESTRICTION, kind=EventKind.RESTRICTED, exact=False)
UNRESTRICTED = replace(RESTRICTED, state=replace(RESTRICTED.state, lift=mark(-5)))
UNRESTRICTED_NEARBY = replace(UNRESTRICTED, exact=False)
