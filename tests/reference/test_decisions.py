"""The model against sentences of I4, I6, I10, I11 and docs/api.md."""

from __future__ import annotations

import pytest

from tests.reference.decisions import MessageType, Topic, decide
from tests.reference.events import ALL_MARKETING, EVERYTHING, SHARING, UNDELIVERABLE, Kind
from tests.reference.examples import (
    JANE,
    LETTER,
    NEWS,
    OFFERS,
    allows,
    at,
    event,
    opt_in,
    opt_out,
    rules,
)
from tests.reference.model import Model
from tests.reference.wanted import Destination, Wanted, wanted

# I4, I6: service mail, closing and reopening


SERVICE, INVOICE = MessageType(), MessageType(after_closing=True)


@pytest.mark.parametrize("scope", ["offers", ALL_MARKETING, SHARING])
def test_no_marketing_opt_out_denies_service_mail(scope: str) -> None:
    assert decide(Model([opt_out(1, scope=scope)]), JANE, SERVICE, at(9)).allow


def test_a_closed_account_denies_service_mail_to_exactly_its_address() -> None:
    closed = event(Kind.DEACTIVATED, 1)
    model = Model([closed])
    assert decide(model, JANE, SERVICE, at(9)).reasons == {("closed", closed.id)}
    assert decide(model, NEWS, SERVICE, at(9)).allow
    assert rules(closed, form=NEWS) == {"opted_out_of_all_marketing"}


def test_types_marked_after_closing_may_go_to_a_closed_account() -> None:
    answer = decide(Model([event(Kind.ERASED, 1)]), JANE, INVOICE, at(9))
    assert answer.allow
    assert {rule for rule, _ in answer.reasons} == {"after_closing"}


def test_a_hard_bounce_is_an_advisory_for_service_mail_and_stops_marketing() -> None:
    bounced = event(Kind.BOUNCED, 1, scope=UNDELIVERABLE)
    answer = decide(Model([bounced]), JANE, SERVICE, at(9))
    assert answer.allow
    assert answer.advisory
    assert rules(bounced) == {"bounced"}
    assert allows(bounced, opt_in(2))


def test_reopening_lifts_everything_and_marketing_stays_off_until_an_opt_in() -> None:
    history = [event(Kind.DEACTIVATED, 1), event(Kind.REOPENED, 2, scope=EVERYTHING)]
    assert decide(Model(history), JANE, SERVICE, at(9)).allow
    assert not allows(opt_in(0), *history)
    assert allows(*history, opt_in(3))


def test_sharing_stops_no_message() -> None:
    assert allows(opt_out(1, scope=SHARING))


# docs/api.md: restrictions and complaints


def test_no_opt_in_ends_a_restriction_and_one_that_is_recorded_meanwhile_counts_after_it() -> None:
    limited = event(Kind.RESTRICTED, 2)
    history = [opt_out(1), limited, opt_in(3)]
    assert rules(*history) == {"restricted"}
    assert rules(limited, form=NEWS) == {"restricted"}
    assert decide(Model(history), JANE, SERVICE, at(9)).allow
    assert allows(*history, event(Kind.UNRESTRICTED, 4))


def test_a_complaint_stops_and_is_named() -> None:
    assert rules(event(Kind.COMPLAINED, 1)) == {"complained"}


# I10, I11


def test_a_pause_is_not_pushed_where_it_can_not_be_lifted() -> None:
    model = Model([event(Kind.PAUSED, 1, until=60)])
    lifts, stays = Destination("a", (OFFERS,)), Destination("b", (OFFERS,), can_lift=False)
    assert wanted(model, lifts, JANE, OFFERS, at(9)) is Wanted.OFF
    assert wanted(model, stays, JANE, OFFERS, at(9)) is Wanted.LEAVE
    assert wanted(Model([opt_out(1)]), stays, JANE, OFFERS, at(9)) is Wanted.OFF


def test_a_lift_stays_off_where_a_tool_can_not_lift() -> None:
    stays = Destination("b", (OFFERS,), can_lift=False)
    assert wanted(Model([opt_out(1), opt_in(2)]), stays, JANE, OFFERS, at(9)) is Wanted.LEAVE


def test_a_topic_that_needs_a_consent_is_not_turned_on_without_one() -> None:
    tool = Destination("tool", (LETTER,))
    history = [opt_out(1), opt_in(2, scope=ALL_MARKETING)]
    assert wanted(Model(history), tool, JANE, LETTER, at(9)) is Wanted.LEAVE


def test_unknown_means_no() -> None:
    model = Model([])
    assert not decide(model, None, SERVICE, at(9)).allow
    assert not decide(model, JANE, None, at(9)).allow
    assert rules(topic=LETTER) == {"no_consent"}
    assert rules(topic=Topic("old", retired=True)) == {"retired_topic"}


def test_a_pause_lasts_as_long_as_that_of_any_form() -> None:
    long = event(Kind.PAUSED, 1, until=90)
    short = event(Kind.PAUSED, 2, form=NEWS, until=60)
    answer = decide(Model([long, short]), NEWS, MessageType(OFFERS), at(9))
    assert answer.paused_until == at(90)
