"""Suppressions and consents out of events: a slow model of the fold.

State is no running value. Each question reads all events again, so that there is no order in
which anything is applied. Where the rules leave a choice, what was chosen is said here:

- A suppression is of one form and one scope, and covers all forms of its mailbox. A newer own
  opt-in ends it for the form that opted in, and for no other (I9).
- A topic's opt-in exempts that topic from the wider suppression of its form.
- A consent is void while an opt-out of its topic or of all marketing is newer, of whatever form;
  a wider opt-in does not restore it (docs/decisions/0006).
- Pauses, bounces, complaints and restrictions are suppressions: they cover all forms.
- A bounce is ended by a newer own opt-in of all marketing, and exempts the topics of others.
- A restriction is ended by the form that was restricted, for all forms.
- A closed account is also an opt-out of all marketing (I6: marketing stays off after it).
- A hash is found by its exact text, so the hash of a mailbox's bare form covers all of it.

The comparison with the service corrected three misreadings. The first version let an opt-in of
one form end its opt-out for the others, too; it let a consent outlive a wider opt-out that was
lifted; and it had sharing, and topics that are off again, among the exempt ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tests.reference.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    SHARING,
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
        about = [event for event in everything if event.kind is not Kind.RETRACTED]
        self.revealed = frozenset(event.form.exact for event in about if not event.hashed)
        self.forms = frozenset(event.form for event in about)

    def covers(self, stored: Form, candidate: Form) -> bool:
        """I9: whether a suppression of one form is found for another."""
        if stored.exact in self.revealed:
            return share_mailbox(stored, candidate)
        return stored.exact in (candidate.exact, candidate.group)

    def suppressions_of(self, form: Form, now: datetime) -> list[Suppression]:
        """Those of exactly this form that are active."""
        return [s for s in self._newest_of(form, now) if not self.lifted(form, s.scope, s.at)]

    def stopping(self, form: Form, now: datetime) -> list[Suppression]:
        """Those of all forms that count for this one, unless its own opt-in is newer (I9)."""
        return [
            suppression
            for other in self.forms
            if self.covers(other, form)
            for suppression in self._newest_of(other, now)
        ]

    def _newest_of(self, form: Form, now: datetime) -> Iterator[Suppression]:
        """The newest opt-out, and the newest pause if it still runs, of each scope (I5)."""
        for scope in {scope for event in self._of(form) for scope in _stopped(event)}:
            newest = _newest(e for e in self._of(form) if scope in _stopped(e) and not e.until)
            if newest:
                yield self._suppression(form, scope, newest, ends_itself=False)
            pauses = _newest(e for e in self._of(form) if scope in _stopped(e) and e.until)
            # By maximum: of pauses that began at once the one that ends last counts.
            pauses = frozenset(p for p in pauses if p.until == max(_until(q) for q in pauses))
            if pauses and max(map(_until, pauses)) > now:
                yield self._suppression(form, scope, pauses, ends_itself=True)

    def _suppression(
        self, form: Form, scope: str, events: frozenset[Event], *, ends_itself: bool
    ) -> Suppression:
        at = _at(events)
        exempt: frozenset[str] = frozenset()
        if scope in (ALL_MARKETING, UNDELIVERABLE):  # I5: a topic's opt-in overrides wider ones
            topics = {e.scope for e in self._of(form) if e.kind is Kind.OPTED_IN and e.own}
            exempt = frozenset(
                topic
                for topic in topics - {ALL_MARKETING, SHARING}
                if self.opted_in_since(form, topic, at) and not self._opted_out_of(form, topic)
            )
        return Suppression(form, scope, at, events, exempt, ends_itself)

    def _opted_out_of(self, form: Form, topic: str) -> bool:
        """Whether the topic's own opt-out is active."""
        newest = _newest(e for e in self._of(form) if e.kind in _STOPS and e.scope == topic)
        return bool(newest) and not self.lifted(form, topic, _at(newest))

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
        """Whether one of `stopping` stops marketing of a topic to this form."""
        scope, other = suppression.scope, suppression.form
        if scope == RESTRICTION:  # no opt-in ends it
            return not self.lifted(other, scope, suppression.at)
        if scope == EVERYTHING:  # I4: its own addresses; the others have its all_marketing
            return other.exact == form.exact and not self.lifted(form, scope, suppression.at)
        if scope not in (topic, ALL_MARKETING, UNDELIVERABLE):
            return False
        if self.opted_in_since(form, topic, suppression.at):
            return False
        return scope == topic or not self.opted_in_since(form, ALL_MARKETING, suppression.at)

    def bounces(self, form: Form, now: datetime) -> bool:
        """Whether mail bounced, of whatever form, and this one has not opted in to any since."""
        return any(
            suppression.scope == UNDELIVERABLE
            and not any(
                self.opted_in_since(form, event.scope, suppression.at)
                for event in self._of(form)
                if event.scope != SHARING
            )
            for suppression in self.stopping(form, now)
        )

    def consents(self, form: Form, topic: str, now: datetime) -> frozenset[Event]:
        """The newest consent to the topic, if it counts for a decision about this form."""
        found = self.given(form, topic)
        return frozenset() if _is_void(found, topic, self.stopping(form, now)) else found

    def given(self, form: Form, topic: str) -> frozenset[Event]:
        """The newest opt-in of exactly this form to the topic, whoever recorded it."""
        return _newest(e for e in self._of(form) if e.kind is Kind.OPTED_IN and e.scope == topic)

    def is_withdrawn(self, form: Form, topic: str, now: datetime) -> bool:
        """Whether exactly this form has opted out since; records of consents say that (I9)."""
        return _is_void(self.given(form, topic), topic, self._newest_of(form, now))

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


def _is_void(consents: frozenset[Event], topic: str, suppressions: Iterable[Suppression]) -> bool:
    """Whether an opt-out that covers the topic is newer than a consent, or as old."""
    return any(
        suppression.scope in (topic, ALL_MARKETING)
        and not suppression.ends_itself
        and any(suppression.at >= consent.counts_at for consent in consents)
        for suppression in suppressions
    )


def _newest(events: Iterable[Event]) -> frozenset[Event]:
    found = list(events)
    return frozenset(e for e in found if e.counts_at == max(f.counts_at for f in found))


def _at(events: frozenset[Event]) -> datetime:
    return next(iter(events)).counts_at


def _until(event: Event) -> datetime:
    assert event.until is not None
    return event.until
