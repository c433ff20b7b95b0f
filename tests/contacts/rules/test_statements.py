"""What staff record of what a person said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from preference_center.catalogue import parse_catalogue
from preference_center.contacts.rules.statements import (
    RETRACTION_PERIOD,
    SOURCE,
    Statement,
    StatementKind,
    brand_scope,
    build_statement_changes,
    facts_after,
    is_retractable,
    scopes_of,
)
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidInput, UnknownTopic, WrongChannel
from preference_center.core.events import ALL_MARKETING, SHARING, Event, EventKind
from preference_center.decisions.rules import find_denial
from preference_center.ledger.rules import ReceivedVia, RequestOrigin
from tests.clock import START
from tests.in_force import CATALOGUE

ADA = parse_address("ada@example.com", Channel.EMAIL)
NUMBER = parse_address("+393331234567", Channel.SMS)
PARSED = parse_catalogue(CATALOGUE)
ORIGIN = RequestOrigin(SOURCE, "console:grace", START)
OPT_OUT = Statement(
    UUID(int=1), StatementKind.OPT_OUT, ADA, ALL_MARKETING, ReceivedVia.PHONE, START
)
ENTRY = Event(
    UUID(int=1),
    1,
    EventKind.OPTED_OUT,
    1,
    ALL_MARKETING,
    START,
    START,
    START,
    START,
    SOURCE,
    "console:grace",
    {},
)


def test_a_brand_is_its_topics_of_the_channel_of_the_address() -> None:
    assert scopes_of(brand_scope("acme"), ADA, PARSED) == ["acme.news", "acme.offers"]
    assert scopes_of(brand_scope("acme"), NUMBER, PARSED) == ["acme.sms"]
    assert scopes_of(SHARING, ADA, PARSED) == [SHARING]
    with pytest.raises(InvalidInput):
        scopes_of(brand_scope("other"), ADA, PARSED)


@pytest.mark.parametrize("scope, error", [("none", UnknownTopic), ("acme.sms", WrongChannel)])
def test_another_scope_is_refused(scope: str, error: type[InvalidInput]) -> None:
    with pytest.raises(error):
        build_statement_changes(replace(OPT_OUT, scope=scope), ORIGIN, PARSED, ())


def test_the_same_statement_makes_the_same_events() -> None:  # I7
    first, again = (build_statement_changes(OPT_OUT, ORIGIN, PARSED, ()) for _ in range(2))
    assert first == again
    assert first[0].own_act


@pytest.mark.parametrize("words", ["ada@example.com", "ada%40example.com", "to bob@example.org"])
@pytest.mark.parametrize("field", ["wording", "note"])
def test_words_that_name_somebody_are_refused(words: str, field: str) -> None:  # I8
    with pytest.raises(InvalidInput, match="no address"):
        build_statement_changes(replace(OPT_OUT, **{field: words}), ORIGIN, PARSED, ())  # type: ignore[arg-type]


def test_what_holds_afterwards_is_known_beforehand() -> None:
    out = build_statement_changes(OPT_OUT, ORIGIN, PARSED, ())
    off = facts_after((), out)
    assert find_denial("acme.offers", off, START)
    opt_in = replace(
        OPT_OUT,
        id=UUID(int=2),
        kind=StatementKind.OPT_IN,
        scope="acme.offers",
        wording="Yes",
        language="en",
        received_at=START + timedelta(hours=1),
    )
    on = build_statement_changes(opt_in, replace(ORIGIN, now=opt_in.received_at), PARSED, off)
    assert find_denial("acme.offers", facts_after(off, on), opt_in.received_at) is None
    stale = replace(opt_in, received_at=START - timedelta(hours=1))
    earlier = build_statement_changes(stale, ORIGIN, PARSED, off)
    assert find_denial("acme.offers", facts_after(off, earlier), START)  # I5


@pytest.mark.parametrize(
    "other",
    [
        {"source": "cli"},
        {"actor": "console:alan"},
        {"kind": EventKind.DEACTIVATED},
        {"recorded_at": START - RETRACTION_PERIOD - timedelta(seconds=1)},
    ],
    ids=str,
)
def test_only_a_recent_entry_of_ones_own_can_be_retracted(other: dict[str, object]) -> None:
    def may(event: Event, *, retracted: bool = False) -> bool:
        return is_retractable(event, "console:grace", START, is_retracted=retracted)

    assert may(ENTRY)
    assert not may(ENTRY, retracted=True)
    assert not may(replace(ENTRY, **other))  # type: ignore[arg-type]  # I5
