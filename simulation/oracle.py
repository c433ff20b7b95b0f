"""The expected state, from what each person did and when, and from nothing else.

It shares no code with the service. Its answers have three values: None where honest people
could disagree, e.g. where the order of two acts is unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from simulation.people import (
    ALL,
    ASKED_FOR,
    BOUNCED,
    EVER,
    EVERYTHING,
    RESTRICTION,
    SHARING,
    Form,
)

CLOCKS_APART = timedelta(seconds=15)
"""By how much the clocks of two web hosts may differ, and more."""
WIDE = (ALL, EVERYTHING, BOUNCED, RESTRICTION)
PASSING = (BOUNCED, RESTRICTION)
"""What was asked for before is asked for again once they end."""


class Cause(Enum):
    """What made an opt-out."""

    PERSON = "person"
    ERASURE = "erasure"
    MOVE = "move"


@dataclass(slots=True)
class OptOut:
    """Somebody opted out between `first` and `last`; it reached us at `received`."""

    form: Form
    scope: str
    first: datetime
    last: datetime
    received: datetime
    until: datetime | None = None
    """When it ends, if it is a pause."""
    sure: bool = True
    """Whether the service must know of it by now."""
    gone: bool | None = False
    """Whether it was undone; None while that is under way."""
    own: bool = False
    """Whether it was made at an entry point of ours: it outranks all that was recorded before."""
    known: datetime | None = None
    """When it was recorded, if that is known."""
    reported: bool = False
    """Whether a tool's report of it is in the ledger, as an event that no undo names."""
    cause: Cause = Cause.PERSON
    tool: str = ""
    """The tool in which it was made, and which reports it."""
    dated: datetime | None = None
    """The date of the tool's report where its clock is behind: the service may believe it."""


@dataclass(frozen=True, slots=True)
class OptIn:
    """Somebody opted in at `at`, as their host's clock had it; recorded at `known`."""

    scope: str
    at: datetime
    known: datetime


@dataclass(slots=True)
class Oracle:
    """What people did, by person."""

    opt_outs: defaultdict[int, list[OptOut]] = field(default_factory=lambda: defaultdict(list))
    opt_ins: defaultdict[Form, list[OptIn]] = field(default_factory=lambda: defaultdict(list))
    listed: set[tuple[Form, str]] = field(default_factory=set)
    """Who has asked for which topic as a list says, which may be recorded, or undone, by now."""
    unlinked: dict[Form, datetime] = field(default_factory=dict)
    """When the correction of an address to this form was last undone, with what was opted in to
    at the old one: an opt-out that it had outranked is to be pushed from then on."""
    changed: dict[int, datetime] = field(default_factory=dict)
    """When each person last did anything."""
    asked_again: datetime = EVER
    """From when a version of the privacy policy is in force that asks for consents again."""

    def add_opt_out(self, opt_out: OptOut) -> OptOut:
        """They opted out, or paused."""
        self.opt_outs[opt_out.form.person].append(opt_out)
        return opt_out

    def add_opt_in(
        self, form: Form, scope: str, at: datetime, known: datetime | None = None
    ) -> None:
        """Their own act: it lifts what came before it, for exactly this form (I5, I9)."""
        self.opt_ins[form].append(OptIn(scope, at, known or at))

    def must_be_off(
        self,
        form: Form,
        topic: str,
        now: datetime,
        *,
        pauses: bool = True,
        besides: OptOut | None = None,
    ) -> bool | None:
        """Whether an opt-out of this topic is active, besides that one."""
        opt_outs = [
            opt_out
            for opt_out in self._about(form, topic)
            if opt_out is not besides and (pauses or not opt_out.until)
        ]
        return _any(self._stands(opt_out, form, topic, now) for opt_out in opt_outs)

    def is_reported_since(self, form: Form, topic: str, tool: str, now: datetime) -> bool:
        """Whether this tool reported an opt-out that was recorded after each opt-in (I5)."""
        for opt_out in self.opt_outs[form.person]:
            if opt_out.tool != tool or opt_out.form != form or opt_out.scope not in {topic, ALL}:
                continue
            by = {topic, opt_out.scope}
            if any((form, scope) in self.listed for scope in by):
                continue
            asked = [o.known for o in self.opt_ins[form] if o.scope in by]
            if opt_out.known and max(asked, default=opt_out.first) < opt_out.known <= now:
                return True
        return False

    def closed(self, form: Form, now: datetime) -> bool | None:
        """Whether even service mail stops (I4)."""
        # Of exactly this form: another may be somebody else's (I4).
        found = [opt_out for opt_out in self._about(form, "") if opt_out.scope == EVERYTHING]
        return _any(self._stands(opt_out, form, "", now) for opt_out in found)

    def may_send(self, form: Form, topic: str, now: datetime) -> bool | None:
        """Whether marketing of this topic may be sent (I2, I5, I11)."""
        off = self.must_be_off(form, topic, now)
        if off:
            return False
        consent = self.has_consent(form, topic, now)
        return consent if off is False or consent is False else None

    def has_consent(self, form: Form, topic: str, now: datetime) -> bool | None:
        """Whether the consent that the topic needs is there, if it needs one (I11).

        One of before a version of the privacy policy that asks again counts no more.
        """
        if topic not in ASKED_FOR:
            return True
        is_asked_again = now >= self.asked_again
        asked = _any(
            self._asked(form, topic, opt_in)
            for opt_in in self.opt_ins[form]
            if opt_in.scope == topic and (opt_in.at >= self.asked_again or not is_asked_again)
        )
        return None if asked is False and (form, topic) in self.listed else asked

    def since(
        self, form: Form, topic: str, now: datetime, *, pauses: bool = True
    ) -> datetime | None:
        """When the oldest active opt-out was received: the start of the window (I3)."""
        active = self._active(form, topic, now, pauses=pauses)
        return min((opt_out.received for opt_out in active), default=None)

    def known_since(
        self, form: Form, topic: str, now: datetime, *, pauses: bool = True
    ) -> datetime | None:
        """When the first of them was recorded: support may write one down hours later."""
        active = self._active(form, topic, now, pauses=pauses)
        return min((opt_out.known or opt_out.received for opt_out in active), default=None)

    def recorded(self, form: Form, received: datetime, slack: timedelta) -> datetime | None:
        """When what was received then, of any topic, was recorded; None if nothing was."""
        return max(
            (
                opt_out.known or opt_out.received
                for opt_out in self.opt_outs[form.person]
                if opt_out.form.meets(form) and abs(opt_out.received - received) <= slack
            ),
            default=None,
        )

    def _active(self, form: Form, topic: str, now: datetime, *, pauses: bool) -> list[OptOut]:
        opt_outs = [opt_out for opt_out in self._about(form, topic) if pauses or not opt_out.until]
        return [opt_out for opt_out in opt_outs if self._stands(opt_out, form, topic, now)]

    def standing(self, form: Form, scope: str, now: datetime) -> list[OptOut]:
        """The opt-outs of exactly this form and scope that may be active."""
        return [
            opt_out
            for opt_out in self._about(form, scope)
            if (opt_out.form, opt_out.scope) == (form, scope)
            and self._stands(opt_out, form, scope, now) is not False
        ]

    def has_none_of_its_own(self, form: Form, scope: str, now: datetime) -> bool | None:
        """Whether no opt-out of exactly this form and scope is active."""
        mine = [o for o in self._about(form, scope) if (o.form, o.scope) == (form, scope)]
        active = _any(self._stands(opt_out, form, scope, now) for opt_out in mine)
        return None if active is None else not active

    def asked_since(self, form: Form, topic: str, at: datetime) -> bool:
        """Whether the person opted in to this topic, or to all marketing, after that."""
        return any(opt_in.at > at and opt_in.scope in {topic, ALL} for opt_in in self.opt_ins[form])

    def is_asked_for(self, form: Form, now: datetime) -> bool:
        """Whether its mailbox was certainly opted in after its last opt-out of all, before now."""
        since = [
            opt_out.last
            for opt_out in self.opt_outs[form.person]
            if (opt_out.form, opt_out.scope) == (form, ALL) and opt_out.gone is not True
        ]
        after, before = max(since, default=EVER), now - CLOCKS_APART
        return after < EVER and any(
            after + CLOCKS_APART < opt_in.at < before and opt_in.scope != EVERYTHING
            for other, opt_ins in self.opt_ins.items()
            if other.meets(form)
            for opt_in in opt_ins
        )

    def pause_end(self, form: Form, topic: str, now: datetime) -> datetime | None:
        """When the last pause of this topic ends; None if that is not certain."""
        pauses = [
            opt_out
            for opt_out in self._about(form, topic)
            if opt_out.until
            and opt_out.scope != BOUNCED  # which is no pause of theirs
            and self._stands(opt_out, form, topic, now) is not False
        ]
        sure = all(self._stands(opt_out, form, topic, now) for opt_out in pauses)
        return max((each.until for each in pauses if each.until), default=None) if sure else None

    def taken_back(self, form: Form, topic: str) -> bool:
        """Whether an opt-out that covered this topic was undone, or may have been."""
        return any(
            opt_out.gone is not False and _covers(opt_out, topic) and opt_out.form.meets(form)
            for opt_out in self.opt_outs[form.person]
        )

    def _about(self, form: Form, topic: str) -> Iterator[OptOut]:
        for opt_out in self.opt_outs[form.person]:
            reaches = (
                opt_out.form == form if opt_out.scope == EVERYTHING else opt_out.form.meets(form)
            )
            if opt_out.gone is not True and _covers(opt_out, topic) and reaches:
                yield opt_out

    def _stands(self, opt_out: OptOut, form: Form, topic: str, now: datetime) -> bool | None:
        by = {topic} if opt_out.scope == topic else {topic, ALL}
        if opt_out.scope in {EVERYTHING, RESTRICTION}:
            by = {opt_out.scope}
        lifted = _any(
            _outranks(opt_in, opt_out, form) for opt_in in self.opt_ins[form] if opt_in.scope in by
        )
        overtaken = self._is_overtaken(opt_out) if opt_out.until else False
        if (opt_out.until and opt_out.until <= now) or lifted or overtaken:
            return False
        is_open = lifted is None or overtaken is None or opt_out.gone is None
        return None if is_open or not opt_out.sure else True

    def _is_overtaken(self, pause: OptOut) -> bool | None:
        """Whether one of a later date is there: of each form and scope only the newest counts.

        Newest by the clocks of the hosts, whichever was recorded first (I5).
        """
        return _any(
            True if other.sure and other.gone is False else None
            for other in self.opt_outs[pause.form.person]
            if other.until and other.gone is not True and other.first > pause.first
            and (other.form, other.scope) == (pause.form, pause.scope)
        )  # fmt: skip

    def _asked(self, form: Form, topic: str, opt_in: OptIn) -> bool | None:
        """Whether what was asked for then is still asked for."""
        opt_outs = [n for n in self._about(form, topic) if n.scope not in PASSING and not n.until]
        outranked = [(opt_out, _outranks(opt_in, opt_out, form)) for opt_out in opt_outs]
        if any(
            ranks is False and opt_out.sure and opt_out.gone is False
            for opt_out, ranks in outranked
        ):
            return False
        return None if any(ranks is not True for _, ranks in outranked) else True


def _covers(opt_out: OptOut, topic: str) -> bool:
    """Whether it is about this topic; bounces and pauses say nothing of sharing."""
    if topic == SHARING and (opt_out.until or opt_out.scope == BOUNCED):
        return False
    return opt_out.scope in {topic, *WIDE}


def _outranks(opt_in: OptIn, opt_out: OptOut, form: Form) -> bool | None:
    """Whether an opt-in of this form is newer than that opt-out; an opt-out wins a tie."""
    if opt_out.own and opt_out.known is not None and opt_in.known <= opt_out.known:
        if opt_out.form == form:
            return False  # whatever the clocks of two hosts show
        return False if opt_in.at <= opt_out.first else None
    if opt_in.at > opt_out.last:
        return True
    return False if opt_in.at <= (opt_out.dated or opt_out.first) else None


def _any(answers: Iterator[bool | None]) -> bool | None:
    found = set(answers)
    return True if True in found else None if None in found else False
