"""Where an opt-out is: which "no" stands, and how far each connected tool is with it.

These rules are for showing to the person and to support; they decide nothing. Where what
we know leaves a doubt, they say "not yet".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from preference_center.domain.deadlines import WINDOW
from preference_center.domain.decisions import Fact, standing_no
from preference_center.domain.events import (
    ALL_MARKETING,
    RESERVED_SCOPES,
    UNDELIVERABLE,
    Kind,
    Mark,
    State,
)


@dataclass(frozen=True, slots=True)
class No:
    """One "no" that stands for one address. `since` is when it counts from (UTC)."""

    scope: str
    kind: Kind
    event: UUID
    since: datetime
    until: datetime | None = None
    """The end of a pause."""
    except_for: tuple[str, ...] = ()
    """Topics that the person has turned on again since."""


class Connection(StrEnum):
    """Whether a destination is being told things now."""

    OPEN = "open"
    UNREACHABLE = "unreachable"
    """The tool turns us away or does not answer; we knock again and again."""
    PAUSED = "paused"
    """Stopped by us, or by the tool itself."""
    OBSERVED = "observed"
    """Being set up: nothing is written there yet."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A destination as far as one address is concerned.

    `sends` are the topics of the address's channel that it may mail. `readable` is false
    once only a digest of the address is left, which can't be told to anybody.
    """

    name: str
    sends: frozenset[str]
    connection: Connection
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """The sync state of one address there: what waits, and what was said last."""

    due_at: datetime | None
    next_at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """A delivery: what came of it, when, and the tool's own acknowledgement."""

    outcome: str
    at: datetime
    ack: str = ""


class Step(StrEnum):
    """How far a tool is."""

    TOLD = "told"
    """It has confirmed."""
    ABSENT = "absent"
    """It does not know the address, so it can't write to it."""
    PENDING = "pending"
    CANNOT = "cannot"
    """For a reason that waiting alone does not mend: see `Hurdle`."""
    UNCONCERNED = "unconcerned"
    """It sends nothing of what was turned off."""


class Hurdle(StrEnum):
    """What is in the way."""

    REFUSED = "refused"
    """The tool will not take this address; we keep trying."""
    PAUSED = "paused"
    OBSERVED = "observed"
    UNREACHABLE = "unreachable"
    NO_PAUSES = "no_pauses"
    """It could not end a pause by itself or by us, so none is set there (I10)."""
    UNREADABLE = "unreadable"
    """Only a digest of the address is left (I6)."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one tool is. `at` is when it answered, `due_at` the deadline (both UTC)."""

    step: Step
    hurdle: Hurdle | None = None
    at: datetime | None = None
    ack: str = ""
    due_at: datetime | None = None
    late: bool = False


_HURDLES = {
    Connection.PAUSED: Hurdle.PAUSED,
    Connection.OBSERVED: Hurdle.OBSERVED,
    Connection.UNREACHABLE: Hurdle.UNREACHABLE,
}
_ANSWERS = {"reflected": Step.TOLD, "absent": Step.ABSENT}


def standing_nos(facts: Sequence[Fact], now: datetime) -> list[No]:
    """Every "no" that stands for exactly one address, given its exact facts (I9).

    The newest comes first. An opt-out that a wider one covers too is still one of them: it
    stays when the wider one is lifted (I5).
    """
    states = _by_scope(fact for fact in facts if fact.exact)
    found = []
    for scope, state in states.items():
        lifts = [state.lift]
        if scope == UNDELIVERABLE:  # a lift of all marketing ends it; never a topic's own (I5)
            lifts.append(states[ALL_MARKETING].lift)
        out, pause, until = state.out, state.pause, state.pause_until
        if out and state.reason and _stands(out, lifts):
            again = _turned_on_again(scope, out, states)
            found.append(No(scope, state.reason, out.event, out.at, except_for=again))
        elif pause and until and until > now and _stands(pause, lifts):
            again = _turned_on_again(scope, pause, states)
            found.append(No(scope, Kind.PAUSED, pause.event, pause.at, until, again))
    return sorted(found, key=lambda no: (no.since, no.event), reverse=True)


def another_form_says_no(facts: Sequence[Fact], now: datetime) -> bool:
    """Whether a "no" of another form of the mailbox stands against this one, too (I9).

    `facts` are those of every form. It tells that there is one, and nothing about whose.
    """
    said = [
        fact
        if not fact.exact
        else replace(fact, state=State(lift=fact.state.lift, consent=fact.state.consent))
        for fact in facts
    ]
    scopes = {fact.scope for fact in facts} - RESERVED_SCOPES | {ALL_MARKETING}
    return any(standing_no(scope, said, now) for scope in scopes)


def progress(
    tool: Tool,
    row: Row | None,
    told: Sequence[Told],
    nos: Sequence[tuple[No, datetime]],
    now: datetime,
) -> Progress:
    """How far `tool` is with these standing nos, each with when it was received.

    `told` are deliveries about this address, the newest first.
    """
    concerned = [(no, at) for no, at in nos if _concerns(no, tool.sends)]
    if not concerned:
        return Progress(Step.UNCONCERNED)
    answer = next((each for each in told if each.outcome in _ANSWERS), None)
    if row is not None and row.due_at is None:
        return _settled(tool, row, answer, [no for no, _ in concerned])
    if not tool.readable:
        return Progress(Step.CANNOT, Hurdle.UNREADABLE)
    due_at = row.due_at if row and row.due_at else min(at for _, at in concerned) + WINDOW
    hurdle = _HURDLES.get(tool.connection)
    if hurdle is None and row is not None and row.outcome == Hurdle.REFUSED:
        hurdle = Hurdle.REFUSED
    waits = hurdle in {None, Hurdle.UNREACHABLE}
    step = Step.PENDING if waits else Step.CANNOT
    return Progress(step, hurdle, due_at=due_at, late=due_at <= now)


def _settled(tool: Tool, row: Row, answer: Told | None, nos: Sequence[No]) -> Progress:
    """Nothing waits any more: either it answered, or there was nothing to tell it."""
    if all(no.kind is Kind.PAUSED for no in nos) and row.outcome == "untold":
        return Progress(Step.CANNOT, Hurdle.NO_PAUSES)
    if answer is not None:
        return Progress(_ANSWERS[answer.outcome], at=answer.at, ack=answer.ack)
    if not tool.readable:
        return Progress(Step.CANNOT, Hurdle.UNREADABLE)
    return Progress(Step.UNCONCERNED if row.next_at is None else Step.PENDING)


def _concerns(no: No, sends: Collection[str]) -> bool:
    if no.scope in RESERVED_SCOPES:
        return any(topic not in no.except_for for topic in sends)
    return no.scope in sends


def _by_scope(facts: Iterable[Fact]) -> dict[str, State]:
    """One state per scope. A "no" by mail whose address was not known yet is a second one."""
    states = {ALL_MARKETING: State()}
    for fact in facts:
        known = states.get(fact.scope, State())
        newer = fact.state.out and (known.out is None or fact.state.out > known.out)
        out, reason = (fact.state.out, fact.state.reason) if newer else (known.out, known.reason)
        other = fact.state if fact.state.lift or fact.state.pause else known
        states[fact.scope] = State(
            out, reason, lift=other.lift, pause=other.pause, pause_until=other.pause_until
        )
    return states


def _turned_on_again(scope: str, mark: Mark, states: dict[str, State]) -> tuple[str, ...]:
    """Topics that an own opt-in took out of a wide "no", and that are not off by themselves."""
    if scope not in {ALL_MARKETING, UNDELIVERABLE}:
        return ()
    return tuple(
        sorted(
            topic
            for topic, state in states.items()
            if topic not in RESERVED_SCOPES
            and state.lift
            and not _stands(mark, [state.lift])
            and not (state.out and _stands(state.out, [state.lift]))
        )
    )


def _stands(mark: Mark, lifts: Iterable[Mark | None]) -> bool:
    """Opt-out wins a tie (I5)."""
    return all(lift is None or mark.at >= lift.at for lift in lifts)
