"""What the facts of an address say, for the naive model of what follows from a tool's report.

Of exactly this form, unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime
from uuid import UUID

from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    EventKind,
    ScopeFact,
)


def is_opted_out(
    facts: Sequence[ScopeFact], scope: str, *, but_for: Container[UUID] | None = None
) -> bool:
    """Whether it is opted out of all that `scope` covers: one more opt-out changes nothing (I5).

    A topic is also stopped by wider opt-outs, which an opt-in to the topic ends for it. With
    `but_for`, neither these opt-outs count nor the correction of an address, which is nobody's.
    """

    def stops(stopped: str, *lifted: str) -> bool:
        opt_outs = [
            fact.state.opt_out.at
            for fact in facts
            if fact.exact and fact.scope == stopped and fact.state.opt_out
            if but_for is None
            or (
                fact.state.reason is not EventKind.MOVED and fact.state.opt_out.event not in but_for
            )
        ]
        opt_ins = [
            fact.state.lift.at
            for fact in facts
            if fact.exact and fact.scope in lifted and fact.state.lift
        ]
        return bool(opt_outs) and all(max(opt_outs) >= at for at in opt_ins)  # it wins a tie

    if scope in {ALL_MARKETING, UNDELIVERABLE}:
        return stops(scope, *(fact.scope for fact in facts if _covers(scope, fact.scope)))
    return (
        stops(EVERYTHING, EVERYTHING)
        or stops(ALL_MARKETING, ALL_MARKETING, scope)
        or stops(scope, scope)
    )


def is_all_stopped(facts: Sequence[ScopeFact]) -> bool:
    """Whether an opt-out of all marketing, a restriction or a closed account has not ended."""
    return any(
        fact.exact
        and fact.scope in {ALL_MARKETING, EVERYTHING, RESTRICTION}
        and fact.state.opt_out
        and (fact.state.lift is None or fact.state.lift.at <= fact.state.opt_out.at)
        for fact in facts
    )


def was_opted_in(
    facts: Sequence[ScopeFact], scope: str, *, after: datetime, until: datetime
) -> bool:
    """Whether any form was opted in then to what an opt-out of `scope` covers (I9)."""
    return any(
        fact.state.lift and _covers(scope, fact.scope) and after < fact.state.lift.at <= until
        for fact in facts
    )


def _covers(scope: str, lifted: str) -> bool:
    """Whether an opt-out of `scope` is also one of what was opted in to as `lifted`."""
    if scope == ALL_MARKETING:
        return lifted not in {EVERYTHING, RESTRICTION}
    if scope == UNDELIVERABLE:
        return lifted not in {EVERYTHING, RESTRICTION, SHARING}
    return lifted == scope or (lifted == ALL_MARKETING and scope != SHARING)
