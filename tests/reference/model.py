"""Suppressions and consents out of events: a slow model of the fold.

State is no running value. Each question reads all events again, so that there is no order in
which anything is applied. Where the rules leave a choice, what was chosen is said here:

- A suppression is of one form and one scope. What ends it at its form, ends it; until then it
  covers all forms of its mailbox, each of which may be exempt by its own newer opt-in (I9).
- A topic's opt-in does not end the wider suppression at its own form: it exempts that topic
  there, and there only.
- Pauses, bounces, complaints and restrictions are suppressions: they cover all forms.
- A bounce is ended by a newer own opt-in of all marketing, and exempts the topics of others.
- A closed account is also an opt-out of all marketing (I6: marketing stays off after it).
- A hash is found by its exact text, so the hash of a mailbox's bare form covers all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tests.reference.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    UNDELIVERABLE,
    Event,
    Form,
    Kind,
    share_mailbox,
)

_STOPS = {Kind.OPTED_OUT, Kind.COMPLAINED, Kind.MOVED}
_CLOSES = {Kind.DEACTIVATED, Kind.ERASED}


@dataclass(frozen=True)
class Suppression:
    """A current "do not send" of one form and scope.

    `events` are those that may be named as its cause: more than one only where times tie.
    `exempt` are the topics that this form has opted in to since. `ends_itself`: a pause.
    """

    form: Form
    scope: str
    at: datetime
    events: frozenset[Event]
    exempt: frozenset[str]
    ends_itself: bool


class Model:
    """What `history` amounts to, at any time that is asked."""

    def __init__(self, history: Iterable[Event]) -> None:
        everything = list(history)
        # I5: a retraction names the events that it takes back; all others stand.
        gone = {name for event in everything for name in event.retracts}
        self._events = [event for event in everything if event.id not in gone]
        # What reveals an address stays true, also if its event is taken back.
        self.revealed = frozenset(e.form.exact for e in everything if not e.hashed)
        self.forms = frozenset(event.form for event in everything)

    def covers(self, stored: Form, candidate: Form) -> bool:
        """I9: whether a suppression of one form is found for another."""
        if stored.exact in self.revealed:
            return share_mailbox(stored, candidate)
        return stored.exact in (candidate.exact, candidate.group)

    def suppressions(self, now: datetime) -> list[Suppression]:
        """All that are active, of every form."""
        return [s for form in self.forms for s in self.suppressions_of(form, now)]

    def suppressions_of(self, form: Form, now: datetime) -> Iterator[Suppression]:
        """Those of exactly this form."""
        for scope in {scope for event in self._of(form) for scope in _stopped(event)}:
            newest = _newest(e for e in self._of(form) if scope in _stopped(e) and not e.until)
            if newest and not self.lifted(form, scope, _at(newest)):
                yield self._suppression(form, scope, newest, ends_itself=False)
            pauses = _newest(e for e in self._of(form) if scope in _stopped(e) and e.until)
            # I5, by maximum: of pauses that began at once the one that ends last counts.
            pauses = frozenset(p for p in pauses if p.until == max(_until(q) for q in pauses))
            runs = bool(pauses) and max(map(_until, pauses)) > now
            if runs and not self.lifted(form, scope, _at(pauses)):
                yield self._suppression(form, scope, pauses, ends_itself=True)

    def _suppression(
        self, form: Form, scope: str, events: frozenset[Event], *, ends_itself: bool
    ) -> Suppression:
        at = _at(events)
        exempt: frozenset[str] = frozenset()
        if scope in (ALL_MARKETING, UNDELIVERABLE):  # I5: a topic's opt-in overrides wider ones
            topics = {e.scope for e in self._of(form) if e.kind is Kind.OPTED_IN and e.own}
            topics -= {ALL_MARKETING}
            exempt = frozenset(t for t in topics if self.opted_in_since(form, t, at))
        return Suppression(form, scope, at, events, exempt, ends_itself)

    def lifted(self, form: Form, scope: str, at: datetime) -> bool:
        """I5: by a newer act of the person, for exactly this scope; a tie lifts nothing."""
        ends = {EVERYTHING: Kind.REOPENED, RESTRICTION: Kind.UNRESTRICTED}
        if scope in ends:
            return any(e.kind is ends[scope] and e.counts_at > at for e in self._of(form))
        if scope == UNDELIVERABLE:
            scope = ALL_MARKETING
        return self.opted_in_since(form, scope, at)

    def opted_in_since(self, form: Form, scope: str, at: datetime) -> bool:
        """Whether the person's own newer opt-in to exactly this scope is recorded."""
        return any(
            e.kind is Kind.OPTED_IN and e.own and e.scope == scope and e.counts_at > at
            for e in self._of(form)
        )

    def stops(self, suppression: Suppression, form: Form, topic: str) -> bool:
        """Whether a suppression of any form stops marketing of a topic to this one."""
        scope = suppression.scope
        own = suppression.form.exact == form.exact
        if scope not in (topic, ALL_MARKETING, UNDELIVERABLE, RESTRICTION, EVERYTHING):
            return False
        if not self.covers(suppression.form, form):
            return False
        if scope == RESTRICTION:  # no opt-in ends it
            return True
        if scope == EVERYTHING:  # I4: its own addresses; the others have its all_marketing
            return own
        if self.opted_in_since(form, topic, suppression.at):
            return False
        wide = scope != topic
        return not (wide and self.opted_in_since(form, ALL_MARKETING, suppression.at))

    def consents(self, form: Form, topic: str) -> frozenset[Event]:
        """The newest opt-in of exactly this form to the topic, whoever recorded it."""
        return _newest(e for e in self._of(form) if e.kind is Kind.OPTED_IN and e.scope == topic)

    def _of(self, form: Form) -> Iterator[Event]:
        return (event for event in self._events if event.form.exact == form.exact)


def _stopped(event: Event) -> frozenset[str]:
    """The scopes that an event suppresses."""
    if event.kind in _CLOSES:
        return frozenset({EVERYTHING, ALL_MARKETING})
    if event.kind is Kind.BOUNCED:
        return frozenset({UNDELIVERABLE})
    if event.kind is Kind.RESTRICTED:
        return frozenset({RESTRICTION})
    if event.kind in _STOPS or event.kind is Kind.PAUSED:
        return frozenset({event.scope})
    return frozenset()


def _newest(events: Iterable[Event]) -> frozenset[Event]:
    found = list(events)
    return frozenset(e for e in found if e.counts_at == max(f.counts_at for f in found))


def _at(events: frozenset[Event]) -> datetime:
    return next(iter(events)).counts_at


def _until(event: Event) -> datetime:
    assert event.until is not None
    return event.until
