"""What must be so, from what each person did and when, and from nothing else.

It shares no code with the service. Its answers have three values: None where honest people
could disagree, e.g. while it is open which of two acts came first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from simulation.people import ALL, ASKED_FOR, BOUNCED, EVERYTHING, Form

WIDE = (ALL, EVERYTHING, BOUNCED)


@dataclass(slots=True)
class No:
    """Somebody said no between `first` and `last`; it reached us at `received`."""

    form: Form
    scope: str
    first: datetime
    last: datetime
    received: datetime
    until: datetime | None = None
    sure: bool = True
    """Whether the service must know of it by now."""
    gone: bool | None = False
    """Whether it was taken back; None while that is under way."""
    own: bool = False
    """Whether it was said at an entry point of ours: it outranks all that was recorded before."""
    known: datetime | None = None
    """When it was recorded, if anybody can tell."""
    heard: bool = False
    """Whether a tool's report of it is in the ledger, as an event that no undo names."""


@dataclass(frozen=True, slots=True)
class Yes:
    """Somebody opted in at `at`, as their host's clock had it; recorded at `known`."""

    scope: str
    at: datetime
    known: datetime


@dataclass(slots=True)
class Oracle:
    """What people did, by person."""

    noes: defaultdict[int, list[No]] = field(default_factory=lambda: defaultdict(list))
    yeses: defaultdict[Form, list[Yes]] = field(default_factory=lambda: defaultdict(list))
    changed: dict[int, datetime] = field(default_factory=dict)
    """When each person last did anything."""

    def says_no(self, no: No) -> No:
        """A pause takes the place of an older one of the same form and scope."""
        mine = self.noes[no.form.person]
        if no.until:
            rivals = [x for x in mine if x.until and (x.form, x.scope) == (no.form, no.scope)]
            for rival in rivals:
                mine.remove(rival)
        mine.append(no)
        return no

    def says_yes(self, form: Form, scope: str, at: datetime, known: datetime | None = None) -> None:
        """Their own act: it lifts what came before it, for exactly this form (I5, I9)."""
        self.yeses[form].append(Yes(scope, at, known or at))

    def must_be_off(
        self, form: Form, topic: str, now: datetime, *, pauses: bool = True
    ) -> bool | None:
        """Whether a "no" stands against this topic."""
        noes = [no for no in self._about(form, topic) if pauses or not no.until]
        return _any(self._stands(no, form, topic, now) for no in noes)

    def closed(self, form: Form, now: datetime) -> bool | None:
        """Whether even service mail stops (I4)."""
        # Of exactly this form: another may be somebody else's (I4).
        found = [no for no in self._about(form, "") if no.scope == EVERYTHING]
        return _any(self._stands(no, form, "", now) for no in found)

    def may_send(self, form: Form, topic: str, now: datetime) -> bool | None:
        """Whether marketing of this topic may be sent (I2, I5, I11)."""
        off = self.must_be_off(form, topic, now)
        if off or topic not in ASKED_FOR:
            return None if off is None else not off
        asked = _any(
            self._asked(form, topic, yes) for yes in self.yeses[form] if yes.scope == topic
        )
        return asked if off is False or asked is False else None

    def since(
        self, form: Form, topic: str, now: datetime, *, pauses: bool = True
    ) -> datetime | None:
        """When the oldest "no" that stands was received: the window's beginning (I3)."""
        noes = [no for no in self._about(form, topic) if pauses or not no.until]
        standing = [no for no in noes if self._stands(no, form, topic, now)]
        return min((no.received for no in standing), default=None)

    def asked_since(self, form: Form, topic: str, at: datetime) -> bool:
        """Whether the person opted in to this topic, or to all marketing, after that."""
        return any(yes.at > at and yes.scope in {topic, ALL} for yes in self.yeses[form])

    def taken_back(self, form: Form, topic: str) -> bool:
        """Whether a "no" that reached this topic was taken back, or may have been."""
        return any(
            no.gone is not False and no.scope in {topic, *WIDE} and no.form.meets(form)
            for no in self.noes[form.person]
        )

    def _about(self, form: Form, topic: str) -> Iterator[No]:
        for no in self.noes[form.person]:
            reaches = no.form == form if no.scope == EVERYTHING else no.form.meets(form)
            if no.gone is not True and no.scope in {topic, *WIDE} and reaches:
                yield no

    def _stands(self, no: No, form: Form, topic: str, now: datetime) -> bool | None:
        by = {topic} if no.scope == topic else {topic, ALL}
        by = {EVERYTHING} if no.scope == EVERYTHING else by
        lifted = _any(_outranks(yes, no, form) for yes in self.yeses[form] if yes.scope in by)
        if (no.until and no.until <= now) or lifted:
            return False
        return None if lifted is None or not no.sure or no.gone is None else True

    def _asked(self, form: Form, topic: str, yes: Yes) -> bool | None:
        """Whether what was asked for then is still asked for."""
        noes = [n for n in self._about(form, topic) if n.scope != BOUNCED and not n.until]
        outranked = [(no, _outranks(yes, no, form)) for no in noes]
        if any(ranks is False and no.sure and no.gone is False for no, ranks in outranked):
            return False
        return None if any(ranks is not True for _, ranks in outranked) else True


def _outranks(yes: Yes, no: No, form: Form) -> bool | None:
    """Whether an opt-in of this form is newer than that "no"; a "no" wins a tie."""
    if no.own and no.known is not None and yes.known <= no.known:
        if no.form == form:
            return False  # whatever the clocks of two hosts say
        return False if yes.at <= no.first else None
    if yes.at > no.last:
        return True
    return False if yes.at <= no.first else None


def _any(answers: Iterator[bool | None]) -> bool | None:
    found = set(answers)
    return True if True in found else None if None in found else False
