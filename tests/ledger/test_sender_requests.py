from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from preference_center.catalogue import Catalogue, parse_catalogue
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidInput, UnknownTopic, WrongChannel
from preference_center.core.events import EventKind
from preference_center.ledger.rules import (
    ConsentEvidence,
    ReceivedVia,
    RequestOrigin,
    build_consent_change,
    build_opt_out_change,
    clamp_to_now,
    topic_for_address,
    validate_marketing_scope,
)
from tests.catalogue.catalogues import SMALL, edited
from tests.clock import START

ID = UUID(int=7)
ADA = parse_address("ada@example.com", Channel.EMAIL)
PHONE = parse_address("+393331234567", Channel.PHONE)
ORIGIN = RequestOrigin("senders", "key:shop", START)
PROOF = ConsentEvidence("checkout", "Yes, write to me", "en", START)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return parse_catalogue(SMALL)


def test_a_time_comes_back_in_utc() -> None:
    rome = datetime(2026, 11, 24, 9, 30, tzinfo=timezone(timedelta(hours=1)))

    assert clamp_to_now(rome, START) == rome
    assert clamp_to_now(rome, START).tzinfo is UTC


def test_a_clock_a_little_ahead_is_put_right() -> None:
    # I5
    assert clamp_to_now(START + timedelta(minutes=15), START) == START


@pytest.mark.parametrize(
    "moment, message",
    [
        (START + timedelta(minutes=15, seconds=1), "future"),
        (datetime.max.replace(tzinfo=UTC), "future"),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=14))), "future"),
        (datetime(1999, 12, 31, 23, 59, tzinfo=UTC), "2000"),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), "2000"),
    ],
)
def test_an_impossible_time_is_refused(moment: datetime, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        clamp_to_now(moment, START)


def test_one_opts_out_of_a_topic_of_the_channel_or_of_all(catalogue: Catalogue) -> None:
    assert validate_marketing_scope(ADA, "acme.news", catalogue) == "acme.news"
    assert validate_marketing_scope(PHONE, "all_marketing", catalogue) == "all_marketing"
    with pytest.raises(WrongChannel):
        validate_marketing_scope(PHONE, "acme.news", catalogue)


@pytest.mark.parametrize("scope", ["everything", "undeliverable", "acme.other", ""])
def test_nothing_else_is_a_scope_of_marketing(catalogue: Catalogue, scope: str) -> None:
    # I4: only deactivation and erasure reach service mail
    with pytest.raises(UnknownTopic):
        validate_marketing_scope(ADA, scope, catalogue)


def test_a_passed_on_no_is_the_persons_own_act(catalogue: Catalogue) -> None:
    change = build_opt_out_change(
        ID, ADA, "acme.news", ReceivedVia.POSTAL_MAIL, ORIGIN, received_at=START, occurred_at=START
    )

    assert (change.kind, change.own_act) == (EventKind.OPTED_OUT, True)
    assert change.evidence == {"via": "postal_mail"}


@pytest.mark.parametrize(
    "own_act, kind", [(True, EventKind.OPTED_IN), (False, EventKind.CONSENTED)]
)
def test_only_an_own_act_lifts(catalogue: Catalogue, own_act: bool, kind: EventKind) -> None:  # noqa: FBT001
    # I5
    topic = topic_for_address(ADA, "acme.news", catalogue)

    assert build_consent_change(ID, ADA, topic, PROOF, ORIGIN, own_act=own_act).kind is kind


def test_nobody_can_ask_for_a_retired_topic() -> None:
    text = edited(('group = "news"\ntitle', 'group = "news"\nretired = true\ntitle'))
    topic = topic_for_address(ADA, "acme.news", parse_catalogue(text))

    with pytest.raises(InvalidInput, match="retired"):
        build_consent_change(ID, ADA, topic, PROOF, ORIGIN, own_act=False)
