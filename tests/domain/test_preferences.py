"""What an account page changes: what counts from when, and what is no news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from preference_center.domain.addresses import Channel, parse
from preference_center.domain.catalogue import parse as parse_catalogue
from preference_center.domain.decisions import Fact
from preference_center.domain.events import ALL_MARKETING, EVERYTHING, Change, Kind, Mark, State
from preference_center.domain.preferences import (
    LONGEST_PAUSE,
    Answer,
    Choice,
    Preferences,
    Setting,
    change_of,
    preferences_of,
)
from preference_center.domain.sender_requests import Origin, Proof
from preference_center.errors import InvalidInput
from tests.domain.catalogues import SECOND_TOPIC, SMALL

CATALOGUE = parse_catalogue(SMALL + SECOND_TOPIC)
ADDRESS = parse("ada@example.com", Channel.EMAIL)
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
ACTED, RENDERED = NOW - timedelta(minutes=1), NOW - timedelta(minutes=5)
ID = UUID(int=1)
OUT = State(out=Mark(NOW - timedelta(days=1), ID), reason=Kind.OPTED_OUT)
ON, OFF = Choice(Setting.ON), Choice(Setting.OFF)


def standing(*facts: Fact) -> Preferences:
    return preferences_of(CATALOGUE, ADDRESS, facts, NOW)


def made(
    scope: str, choice: Choice, *facts: Fact, rendered_at: datetime = RENDERED
) -> Change | None:
    proof = Proof("account page", "Email settings", "en", ACTED)
    answer = Answer(ADDRESS, {scope: choice}, rendered_at, proof)
    origin = Origin("senders", "key:shop", NOW)
    return change_of(ID, answer, scope, origin, CATALOGUE, standing(*facts))


def test_a_yes_counts_from_the_page_and_a_no_from_the_act() -> None:  # I5
    yes, no = made("acme.news", ON), made("acme.news", OFF)
    assert yes
    assert no
    assert (yes.kind, yes.occurred_at) == (Kind.OPTED_IN, RENDERED)
    assert (no.kind, no.occurred_at, no.received_at) == (Kind.OPTED_OUT, ACTED, ACTED)
    assert no.once


def test_a_yes_never_counts_after_the_act() -> None:
    yes = made("acme.news", ON, rendered_at=NOW)
    assert yes
    assert yes.occurred_at == ACTED


def test_what_stands_already_is_no_news_but_a_no_always_is() -> None:
    assert made(ALL_MARKETING, ON) is None
    assert made(ALL_MARKETING, ON, Fact(ALL_MARKETING, True, OUT))
    assert made(ALL_MARKETING, ON, Fact(ALL_MARKETING, False, OUT))  # I9: of another form
    assert made(ALL_MARKETING, OFF, Fact(ALL_MARKETING, True, OUT))


@pytest.mark.parametrize(
    "until", [NOW, NOW - timedelta(days=1), NOW + LONGEST_PAUSE + timedelta(seconds=1)]
)
def test_a_pause_ends_in_time(until: datetime) -> None:
    with pytest.raises(InvalidInput, match="366 days"):
        made(ALL_MARKETING, Choice(Setting.PAUSED, until))
    assert made(ALL_MARKETING, Choice(Setting.PAUSED, NOW + LONGEST_PAUSE))


def test_a_closed_account_can_only_say_no() -> None:  # I4
    closed = Fact(EVERYTHING, True, State(out=Mark(NOW, ID), reason=Kind.DEACTIVATED))
    assert standing(closed).closed
    for choice in (ON, Choice(Setting.PAUSED, NOW + timedelta(days=7))):
        with pytest.raises(InvalidInput, match="closed"):
            made("acme.news", choice, closed)
    assert made("acme.news", OFF, closed)


def test_that_another_form_is_closed_is_not_told() -> None:  # I9: narrow to reveal
    other = Fact(EVERYTHING, False, State(out=Mark(NOW, ID), reason=Kind.DEACTIVATED))
    assert not standing(other).closed
