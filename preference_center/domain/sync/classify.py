"""What news from a tool, or a contact seen there, means for us: pure rules (I5, I13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from preference_center.domain.bounces import Policy, complaint_scope
from preference_center.domain.decisions import (
    Fact,
    Rule,
    marketing_suppressed,
    nothing_left_of,
    standing_no,
)
from preference_center.domain.events import ALL_MARKETING, UNDELIVERABLE, Kind
from preference_center.domain.sync.contract import Result, Seen
from preference_center.domain.sync.destination import Destination
from preference_center.domain.sync.state import State
from preference_center.domain.vendor_event_time import acted_at
from preference_center.domain.vendor_events import ALL_EMAIL, ALL_SMS, WHOLE, News, NewsKind

LAG = timedelta(minutes=10)
"""How long a tool may go on showing what it was before we told it."""
AT_MOST_DAILY = timedelta(days=1)
"""How often somebody is told again to a tool that can't be read."""

_ALL = frozenset({WHOLE, ALL_EMAIL, ALL_SMS})
_KINDS = {
    NewsKind.OPTED_OUT: Kind.OPTED_OUT,
    NewsKind.COMPLAINED: Kind.COMPLAINED,
    NewsKind.BOUNCED: Kind.BOUNCED,
}


class Verdict(StrEnum):
    """What becomes of one piece of news."""

    RECORD = "record"
    KNOWN = "known"
    """It says what stands already."""
    ECHO = "echo"
    """It says what we told the tool ourselves."""
    DOUBT = "doubt"
    """It may be older than what we have told the tool since: the tool is asked what is off."""
    UNMAPPED = "unmapped"
    """It is about a thing that no topic of the destination maps to."""
    LOOK = "look"
    """It says that a contact is there: see `look`."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict; with RECORD, of which kind and scope."""

    verdict: Verdict
    kind: Kind = Kind.OPTED_OUT
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Here:
    """All that we know of one address and one destination."""

    facts: Sequence[Fact]
    """Of every form of the mailbox."""
    topics: frozenset[str]
    """What the destination sends on this channel."""
    wanted: frozenset[str]
    """Of those, what must be off there."""
    state: State | None
    """None if the address is new to us."""


def things_of(destination: Destination) -> Mapping[str, str]:
    """The tool's own names of what the destination sends -> our topics."""
    named = {topic: topic for topic in destination.sends - destination.mapping.keys()}
    return named | {thing: topic for topic, thing in destination.mapping.items()}


def unmapped(news: News, things: Mapping[str, str]) -> str | None:
    """The tool's own id of what somebody opted out of there, if no topic maps to it."""
    is_no = news.kind is NewsKind.OPTED_OUT
    return news.thing if is_no and _scope(news, things) is None else None


def judge(
    news: News,
    here: Here,
    things: Mapping[str, str],
    policy: Policy,
    now: datetime,
    *,
    can_ask: bool = False,
) -> Judgement:
    """What becomes of `news`; a bounce with its details is then to be judged as such.

    An act that the vendor says a person did is recorded, whatever stands: a repeat must be
    in the ledger too (I5), and can't be our own doing. Anything else may be the echo of what
    we told, so it only counts where it says something that we neither know nor have told.
    A switch that no push of ours changes can be no echo: it counts once until it is shown on.
    `can_ask`: what is off there can be read, so what may be past need not be believed.
    """
    if news.kind not in _KINDS:
        return Judgement(Verdict.LOOK)
    scope = _scope(news, things)
    if scope is None:
        return Judgement(Verdict.UNMAPPED)
    if news.kind is NewsKind.COMPLAINED:
        scope = complaint_scope(policy, things.get(news.thing or ""))
    kind = _KINDS[news.kind]
    if news.by_person and (news.id or news.at):
        return Judgement(Verdict.RECORD, kind, scope)
    if _stands(scope, here.facts, now):
        return Judgement(Verdict.KNOWN)
    if news.all_off:
        is_repeat = is_switched_off(here.state) and (
            news.at is None or is_past(news, here.state, now)
        )
        return Judgement(Verdict.ECHO if is_repeat else Verdict.RECORD, kind, scope)
    if kind is Kind.OPTED_OUT and not news.by_person:
        if _is_echo(scope, here):
            return Judgement(Verdict.ECHO)
        if can_ask and _may_be_ours(scope, here) and is_past(news, here.state, now):
            return Judgement(Verdict.DOUBT)
    return Judgement(Verdict.RECORD, kind, scope)


def off_there(news: Collection[News], here: Here, things: Mapping[str, str]) -> frozenset[str]:
    """The topics that are off in the tool, as its opt-outs say."""
    off: set[str] = set()
    for each in news:
        if each.kind is NewsKind.OPTED_OUT:
            scope = _scope(each, things)
            off |= here.topics if scope == ALL_MARKETING else {scope or ""}
    return frozenset(off) & here.topics


def _scope(news: News, things: Mapping[str, str]) -> str | None:
    if news.kind is NewsKind.BOUNCED:
        return UNDELIVERABLE
    if news.kind is NewsKind.COMPLAINED or news.thing is None:
        return ALL_MARKETING
    return things.get(news.thing, ALL_MARKETING if news.thing in _ALL else None)


def _stands(scope: str, facts: Sequence[Fact], now: datetime) -> bool:
    """Whether exactly this form has said so itself, and all of it stands: nothing would change.

    What was opted in to since is denied by one more "no" (I5, I13).
    """
    exact = [fact for fact in facts if fact.exact]
    if scope in {ALL_MARKETING, UNDELIVERABLE}:
        return nothing_left_of(scope, exact)
    no = standing_no(scope, exact, now)
    return no is not None and no.rule not in {Rule.PAUSED, Rule.BOUNCED}


def is_switched_off(state: State | None) -> bool:
    """Whether the contact's own switch for all was off when the tool last showed it.

    One of a contact that is gone is gone with it.
    """
    return state is not None and ALL_MARKETING in state.told and state.outcome != Result.ABSENT


def switch_of(
    news: Sequence[News], seen: Seen | None, now: datetime, *, whole: bool
) -> bool | None:
    """Whether the contact's own switch for all is off now; None where that is not reported.

    A late report says nothing of now where it was off: it may be on since. Unless it comes of
    a list of all that is off (`whole`).
    """
    reported = [
        each.all_off for each in news if whole or not (each.all_off and is_history(each, now))
    ]
    shown = [*reported, seen.all_off if seen else None]
    return next((all_off for all_off in reversed(shown) if all_off is not None), None)


def _is_echo(scope: str, here: Here) -> bool:
    state = here.state
    if state is None or not state.row:
        return False
    if scope == ALL_MARKETING:
        return bool(here.topics) and here.topics <= state.told
    return scope in state.told or scope in here.wanted


def _may_be_ours(scope: str, here: Here) -> bool:
    """Whether we may have turned it off there, and on again since.

    All marketing only where nothing is left of what we had turned off, or where topics were
    opted in to since.
    """
    if scope != ALL_MARKETING:
        return True
    exact = [fact for fact in here.facts if fact.exact]
    if here.state is None:
        return False
    return not here.state.told - {ALL_MARKETING} or marketing_suppressed(exact)


def is_past(news: News | None, state: State | None, now: datetime) -> bool:
    """Whether `news`, or what a tool shows now, may be of before it took what we told it last.

    A tool shows the old state for a while yet, or tells late of what was.
    """
    if state is None or state.pushed_at is None:
        return False
    at = (acted_at(news, now) or news.received_at) if news else None
    return (at or now) - state.pushed_at < LAG


def is_history(news: News, now: datetime) -> bool:
    """Whether it tells of what was: the tool may have turned on again what went off then."""
    return news.at is not None and now - news.at > LAG


def _recent(state: State, now: datetime) -> bool:
    return state.told_at is not None and now - state.told_at < LAG


class Need(StrEnum):
    """What a contact that was seen in the tool needs."""

    NOTHING = "nothing"
    LEARN = "learn"
    """To be told to it for the first time."""
    PUSH_NOW = "push_now"
    """The same, of somebody who was erased: nothing readable may be stored (I6)."""
    PUSH_AGAIN = "push_again"
    REPAIR = "repair"
    """It had confirmed, and says something else now: drift."""
    CHECK = "check"
    ASK = "ask"
    """To be read back once the tool can be trusted to show what we told it."""


def look(seen: Seen, here: Here, now: datetime, *, can_read: bool) -> Need:
    """What the contact needs to be suppressed there as it should be."""
    state = here.state
    if not here.wanted or (state is not None and state.waits):
        return Need.NOTHING
    if state is not None and state.erased and not state.readable:
        return Need.PUSH_NOW
    if state is None or not state.row:
        return Need.LEARN
    if state.outcome != Result.REFLECTED:
        return Need.PUSH_AGAIN
    if _recent(state, now):
        return Need.NOTHING  # it was we who changed the contact
    return _look_closer(seen, here, now, can_read=can_read)


def _look_closer(seen: Seen, here: Here, now: datetime, *, can_read: bool) -> Need:
    """The same of somebody of whom the tool had confirmed that it mails them no more."""
    state = here.state
    if seen.off is not None:
        return Need.NOTHING if here.wanted <= seen.off else Need.REPAIR
    if can_read:
        return Need.CHECK
    told_at = state.told_at if state else None
    told_lately = told_at is not None and now - told_at < AT_MOST_DAILY
    return Need.NOTHING if told_lately else Need.PUSH_AGAIN


def resubscribed(news: News, here: Here, things: Mapping[str, str], now: datetime) -> bool:
    """Whether the tool says that it mails again what must be off there (I5)."""
    scope, at = _scope(news, things), acted_at(news, now)
    told_since = (
        here.state is not None
        and here.state.told_at is not None
        and at is not None
        and here.state.told_at >= at
    )
    concerned = bool(here.wanted) if scope == ALL_MARKETING else scope in here.wanted
    return news.kind is NewsKind.RESUBSCRIBED and concerned and not told_since
