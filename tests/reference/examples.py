"""Short histories of the model, and what it decides of them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from tests.reference.decisions import MessageType, Topic, decide
from tests.reference.events import ALL_MARKETING, Event, Form, Kind, form_of
from tests.reference.model import Model

JANE = form_of("jane@example.com")
NEWS = form_of("jane+news@example.com")
SHOP = form_of("jane+shop@example.com")
DOTS, PLAIN = form_of("ja.ne@gmail.com"), form_of("jane@googlemail.com")
LETTER, OFFERS = Topic("letter", opt_in=True), Topic("offers")
START = datetime(2026, 12, 1, 9, tzinfo=UTC)
_ids = itertools.count(1)


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def event(
    kind: Kind,
    minutes: int,
    *,
    form: Form = JANE,
    scope: str = ALL_MARKETING,
    hashed: bool = False,
    until: int | None = None,
    retracts: frozenset[str] = frozenset(),
) -> Event:
    ends = None if until is None else at(until)
    own = kind is Kind.OPTED_IN
    return Event(
        str(next(_ids)), kind, form, at(minutes), scope, hashed, own, until=ends, retracts=retracts
    )


def opt_out(minutes: int, *, form: Form = JANE, scope: str = ALL_MARKETING) -> Event:
    return event(Kind.OPTED_OUT, minutes, form=form, scope=scope)


def opt_in(minutes: int, *, form: Form = JANE, scope: str = "offers") -> Event:
    return event(Kind.OPTED_IN, minutes, form=form, scope=scope)


def import_consent(minutes: int, scope: str) -> Event:
    return Event(str(next(_ids)), Kind.OPTED_IN, JANE, at(minutes), scope, own=False)


def rules(*history: Event, form: Form = JANE, topic: Topic = OFFERS, now: int = 600) -> set[str]:
    answer = decide(Model(history), form, MessageType(topic), at(now))
    return {rule for rule, _ in answer.reasons}


def allows(*history: Event, form: Form = JANE, topic: Topic = OFFERS, now: int = 600) -> bool:
    return decide(Model(history), form, MessageType(topic), at(now)).allow
