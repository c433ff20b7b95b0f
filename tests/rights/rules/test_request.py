"""A request through any sequence of acts: its clock, its marks and its end."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.catalogue.rules.privacy import AccountClosing, Law
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidInput
from preference_center.rights.rules.deadlines import compute_deadlines
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import Agent, NewRequest, SubjectRows, build_request
from preference_center.rights.rules.requests import (
    ExtensionReason,
    Extent,
    IdentityLevel,
    RefusalGround,
    RequestKind,
    RequestOutcome,
    RequestState,
    RequestVia,
)
from tests.clock import START

ROME = ZoneInfo("Europe/Rome")
ADA = parse_address("ada@example.com", Channel.EMAIL)
ACTS = ("ask", "confirm 2", "confirm 3", "fail", "extend", "refuse", "complete", "withdraw")
STEPS = st.lists(
    st.tuples(st.sampled_from(ACTS), st.timedeltas(timedelta(0), timedelta(days=12))), max_size=12
)


def received(
    kind: RequestKind = RequestKind.ACCESS, law: Law = Law.GDPR, extent: Extent | None = None
) -> RightsRequest:
    if kind is RequestKind.ERASE:
        extent = extent or Extent.ACCOUNT
    new = NewRequest(kind, RequestVia.EMAIL, "en", addresses=(ADA,), law=law, extent=extent)
    return build_request(new, UUID(int=1), SubjectRows(()), [law], ROME, START, START)


def act(request: RightsRequest, name: str, now: datetime, stopped: timedelta) -> RightsRequest:
    assert request.law
    dates = compute_deadlines(request.kind, [request.law], START, ROME, stopped=stopped)
    match name:
        case "ask":
            return request.ask_identity(now, stops_clock=dates.stops_for_identity)
        case "confirm 2" | "confirm 3":
            return request.confirm_identity(IdentityLevel(int(name[-1])), now)
        case "fail":
            return request.fail_identity(now)
        case "extend":
            return request.extend(dates.extendable_to, ExtensionReason.COMPLEX, now)
        case "refuse":
            return request.refuse(RefusalGround.CLAIMS, now)
        case "complete":
            return request.complete(RequestOutcome.FULFILLED, now)
        case _:
            return request.withdraw(now)


@given(STEPS, st.sampled_from(list(Law)), st.sampled_from(["access", "erase"]))
def test_its_clock_is_moved_by_exactly_the_time_for_which_it_stood(
    steps: list[tuple[str, timedelta]], law: Law, kind: str
) -> None:
    extent = Extent.ACCOUNT if kind == "erase" else None
    request, now = received(RequestKind(kind), law, extent), START
    stopped = ended = timedelta(0)  # with and without the stop that lasts
    plain = compute_deadlines(request.kind, [law], START, ROME)
    for name, passed in steps:
        before, now = request, now + passed
        if before.stopped_at is None:
            ended = stopped
        else:
            stopped += passed
        try:
            request = act(before, name, now, ended)
        except InvalidInput:
            continue
        assert not before.state.closed  # nothing follows an end
        if request.stopped_at is None:
            assert request.due_at == plain.due_at + stopped
            if request.extended_to:
                assert plain.extendable_to
                assert request.extended_to == plain.extendable_to + stopped
        assert (request.stopped_at is None) or request.state is RequestState.IDENTIFYING
        if request.state is RequestState.OPEN:
            assert request.level >= request.required_level
        if request.state is RequestState.DONE:
            assert before.state is RequestState.OPEN
        assert request.state.closed is (request.closed_at is not None)
        assert request.state.closed is (request.forget_at is not None)
        if request.state.closed:
            assert request.next_at is None
        elif request.next_at is not None and request is not before:
            assert request.next_at > START


@given(st.timedeltas(timedelta(0), timedelta(days=100)))
def test_an_open_request_is_always_woken_before_or_at_its_deadline(passed: timedelta) -> None:
    now = START + passed
    request = received().confirm_identity(IdentityLevel.CONTACT, START).schedule(now)
    if now < request.deadline:
        assert request.next_at
        assert now < request.next_at <= request.deadline
    else:
        assert request.next_at is None  # it was woken at its deadline


def test_an_extension_after_the_first_date_is_refused_but_not_while_the_clock_stands() -> None:
    late = START + timedelta(days=35)
    asked = received().ask_identity(START, stops_clock=True)
    longer = asked.extend(late + timedelta(days=90), ExtensionReason.COMPLEX, late)
    assert longer.extended_to
    with pytest.raises(InvalidInput, match="too late"):
        received().extend(late + timedelta(days=90), ExtensionReason.COMPLEX, late)


@pytest.mark.parametrize("closing", AccountClosing)
def test_only_what_needs_no_decision_acts_by_itself(closing: AccountClosing) -> None:
    acting = {kind for kind in RequestKind if received(kind).acts_by_itself(closing)}
    expected = {RequestKind.ACCESS, RequestKind.RESTRICT, RequestKind.UNRESTRICT}
    assert acting == expected | ({RequestKind.CLOSE} if closing is AccountClosing.HERE else set())
    erase = replace(received(), kind=RequestKind.ERASE)
    assert replace(erase, extent=Extent.MARKETING).acts_by_itself(closing)
    assert not replace(erase, extent=Extent.ACCOUNT).acts_by_itself(closing)


def test_its_repr_shows_neither_digests_nor_what_is_sealed() -> None:  # I12
    shown = repr(replace(received(), sealed=b"secret", subject_digests=(b"digest",)))
    assert "secret" not in shown
    assert "digest" not in shown


@pytest.mark.parametrize(
    "via, agent",
    [(RequestVia.AGENT, None), (RequestVia.PAGE, Agent("Ann Agent", "ann@agents.example"))],
)
def test_a_request_by_an_agent_and_only_that_names_the_agent(
    via: RequestVia, agent: Agent | None
) -> None:
    new = NewRequest(RequestKind.ACCESS, via, "en", addresses=(ADA,), agent=agent)
    with pytest.raises(InvalidInput, match="names the agent"):
        new.check()


@pytest.mark.parametrize(
    "name, may_be_mailed",
    [
        ("Ann Agent", True),
        ("Studio 24 GmbH & Co. KG", True),
        ("Your account is blocked: call +39 06 123456", False),
        ("Blocked: call 0039 then 0612 then 3456", False),
        ("Write to acme dot com", False),
        ("Point of Law 2000", True),
        ("Call 0-6-1-2-3", False),
        ("agents.example", False),
        ("ann@agents", False),
    ],
)
def test_an_agents_name_tells_nobody_how_to_reach_a_stranger(
    name: str, *, may_be_mailed: bool
) -> None:
    expected = nullcontext() if may_be_mailed else pytest.raises(InvalidInput, match="phone number")
    with expected:
        Agent(name, "ann@agents.example").check()
