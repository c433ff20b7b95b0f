"""What was said about a topic, and what senders send: for tests of decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import (
    AfterClosing,
    Default,
    Ground,
    MessageClass,
    MessageType,
    Topic,
)
from preference_center.domain.decisions import Fact
from preference_center.domain.events import (
    EVERYTHING,
    UNDELIVERABLE,
    Kind,
    Mark,
    State,
)
from tests.domain.histories import NEWS, NOW, OFFERS

MINUTE = timedelta(minutes=1)
NEWSLETTER = MessageType("newsletter", MessageClass.MARKETING, NEWS)
INVOICE = MessageType("invoice", MessageClass.SERVICE, ground=Ground.BILLING)
LAST_INVOICE = replace(INVOICE, after_closing=True, after_closing_ground=AfterClosing.FINAL_INVOICE)
ON = Topic(NEWS, "acme", Channel.EMAIL, Default.OPT_OUT, "news", {}, {})
OFF = replace(ON, default=Default.OPT_IN)


def mark(minute: int) -> Mark:
    return Mark(NOW + minute * MINUTE, UUID(int=10_000 + minute))


def no(
    scope: str = NEWS, at: int = -10, kind: Kind = Kind.OPTED_OUT, *, exact: bool = True
) -> Fact:
    return Fact(scope, exact, State(out=mark(at), reason=kind))


def yes(scope: str = NEWS, at: int = -5, *, exact: bool = True) -> Fact:
    """An own opt-in; of a topic it is a consent too."""
    consent = mark(at) if scope in {NEWS, OFFERS} else None
    return Fact(scope, exact, State(lift=mark(at), consent=consent))


def consent(at: int = -5, *, exact: bool = True) -> Fact:
    return Fact(NEWS, exact, State(consent=mark(at)))


def pause(scope: str = NEWS, at: int = -10, until: int = 60, *, exact: bool = True) -> Fact:
    return Fact(scope, exact, State(pause=mark(at), pause_until=NOW + until * MINUTE))


CLOSED = no(EVERYTHING, kind=Kind.DEACTIVATED)
CLOSED_NEARBY = no(EVERYTHING, kind=Kind.DEACTIVATED, exact=False)
"""Of another form of the mailbox: it may be another contact's."""
ERASED = no(EVERYTHING, kind=Kind.ERASED)
BOUNCED = no(UNDELIVERABLE, kind=Kind.BOUNCED)
BOUNCING = pause(UNDELIVERABLE)
BOUNCED_ONCE = pause(UNDELIVERABLE, until=-1)
REOPENED = yes(EVERYTHING)
