from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from preference_center.domain.addresses import Channel, parse
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.catalogue import parse as parse_catalogue
from preference_center.domain.events import Kind
from preference_center.domain.sender_requests import (
    Origin,
    Proof,
    Via,
    consent,
    marketing_scope,
    opt_out,
    past,
    topic_for,
)
from preference_center.errors import InvalidInput, UnknownTopic, WrongChannel
from tests.clock import START
from tests.domain.catalogues import SMALL, edited

ID = UUID(int=7)
ADA = parse("ada@example.com", Channel.EMAIL)
PHONE = parse("+393331234567", Channel.PHONE)
ORIGIN = Origin("senders", "key:shop", START)
PROOF = Proof("checkout", "Yes, write to me", "en", START)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return parse_catalogue(SMALL)


def test_a_time_comes_back_in_utc() -> None:
    rome = datetime(2026, 11, 24, 9, 30, tzinfo=timezone(timedelta(hours=1)))

    assert past(rome, START) == rome
    assert past(rome, START).tzinfo is UTC


def test_a_clock_a_little_ahead_is_put_right() -> None:
    # I5
    assert past(START + timedelta(minutes=15), START) == START


@pytest.mark.parametrize(
    "moment, says",
    [
        (START + timedelta(minutes=15, seconds=1), "future"),
        (datetime.max.replace(tzinfo=UTC), "future"),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=14))), "future"),
        (datetime(1999, 12, 31, 23, 59, tzinfo=UTC), "2000"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), "2000"),
    ],
)
def test_an_impossible_time_is_refused(moment: datetime, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        past(moment, START)


def test_one_opts_out_of_a_topic_of_the_channel_or_of_all(catalogue: Catalogue) -> None:
    assert marketing_scope(ADA, "acme.news", catalogue) == "acme.news"
    assert marketing_scope(PHONE, "all_marketing", catalogue) == "all_marketing"
    with pytest.raises(WrongChannel):
        marketing_scope(PHONE, "acme.news", catalogue)


@pytest.mark.parametrize("scope", ["everything", "undeliverable", "acme.other", ""])
def test_nothing_else_is_a_scope_of_marketing(catalogue: Catalogue, scope: str) -> None:
    # I4: only deactivation and erasure reach service mail
    with pytest.raises(UnknownTopic):
        marketing_scope(ADA, scope, catalogue)


def test_a_passed_on_no_is_the_persons_own_act(catalogue: Catalogue) -> None:
    change = opt_out(ID, ADA, "acme.news", Via.LETTER, ORIGIN, received_at=START, occurred_at=START)

    assert (change.kind, change.once) == (Kind.OPTED_OUT, True)
    assert change.evidence == {"via": "letter"}


@pytest.mark.parametrize("own_act, kind", [(True, Kind.OPTED_IN), (False, Kind.CONSENTED)])
def test_only_an_own_act_lifts(catalogue: Catalogue, own_act: bool, kind: Kind) -> None:  # noqa: FBT001
    # I5
    topic = topic_for(ADA, "acme.news", catalogue)

    assert consent(ID, ADA, topic, PROOF, ORIGIN, own_act=own_act).kind is kind


def test_nobody_can_ask_for_a_retired_topic() -> None:
    text = edited(('group = "news"\ntitle', 'group = "news"\nretired = true\ntitle'))
    topic = topic_for(ADA, "acme.news", parse_catalogue(text))

    with pytest.raises(InvalidInput, match="retired"):
        consent(ID, ADA, topic, PROOF, ORIGIN, own_act=False)
