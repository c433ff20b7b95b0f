"""An import lifts nothing, and its opt-outs outlive what was said or taken back since (I5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, SHARING, EventKind, Retraction
from preference_center.decisions.rules import find_sharing_denial
from preference_center.ledger import record
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store.lookup import load_facts
from preference_center.lists.rules.instructions import LegalBasis
from preference_center.rights.requests.correct import move_address, undo_move
from tests.clock import START, Clock
from tests.lists.imports.importing import (
    allows,
    change,
    email,
    events,
    imported,
    instructions_for,
)

NEWS = "acme.news"
ALL = ("list", ALL_MARKETING)

pytestmark = pytest.mark.usefixtures("in_force")


def test_an_import_lifts_nothing_and_asks_for_nothing_that_was_refused_since(
    tmp_path: Path,
) -> None:
    # I5
    record([change(EventKind.OPTED_OUT, email("ada"), NEWS, START - timedelta(days=1))])
    path = tmp_path / "subscribers.csv"
    path.write_text(
        "email,date\nada@example.com,2026-11-24T09:00:00Z\ngrace@example.com,2024-01-01\n"
    )
    proven = instructions_for(
        "generic-list",
        ("list", NEWS),
        only="subscriptions",
        source="shop",
        wording="Yes",
        language="en",
        legal_basis=LegalBasis.CONSENT,
    )
    record([change(EventKind.OPTED_OUT, email("ada"), NEWS, START)])
    imported(path, proven)

    assert not allows(email("ada"), "newsletter.monthly")
    assert allows(email("grace"), "newsletter.monthly")
    assert not events("kind IN ('opted_in', 'reopened')")


def test_a_later_opt_in_of_the_person_outlives_an_old_list(tmp_path: Path) -> None:
    # I5: an opt-out counts from when it happened, not from when the list came
    record([change(EventKind.OPTED_IN, email("old"), NEWS, START - timedelta(days=30))])
    path = tmp_path / "list.csv"
    path.write_text(
        "email,status,group,occurred_at\nold@example.com,unsubscribed,News,2019-01-01\n"
    )
    imported(path, instructions_for("generic", ("News", NEWS)))

    assert allows(email("old"), "newsletter.monthly")


@pytest.mark.parametrize("turned_on", ["ada+x@example.com", "ada@example.com"])
def test_an_undated_no_is_new_where_part_of_what_it_covers_was_turned_on_since(
    tmp_path: Path, clock: Clock, turned_on: str
) -> None:
    # I5, I9: a list had it before, but neither of that topic nor of that form by now
    path, who = tmp_path / "list", parse_address(turned_on, Channel.EMAIL)
    path.write_text("ada@example.com\n")
    imported(path, instructions_for("addresses", ALL, only="opt-outs"))
    clock.advance(timedelta(hours=1))
    record([change(EventKind.OPTED_IN, who, NEWS, clock())])
    assert allows(who, "newsletter.monthly")

    clock.advance(timedelta(hours=1))
    path.write_text("ada@example.com\ngrace@example.com\n")
    imported(path, instructions_for("addresses", ALL, only="opt-outs"))
    assert not allows(who, "newsletter.monthly")


def test_an_undated_no_is_new_where_sharing_was_agreed_to_since(
    tmp_path: Path, clock: Clock
) -> None:  # I5: an opt-out of all marketing ends that as well
    path, who = tmp_path / "list", email("ada")
    for lines in (f"{who.exact}\n", f"{who.exact}\ngrace@example.com\n"):
        path.write_text(lines)
        imported(path, instructions_for("addresses", ALL, only="opt-outs"))
        clock.advance(timedelta(hours=1))
        (facts,) = load_facts([who])
        assert find_sharing_denial(facts, clock()) is not None
        record([change(EventKind.OPTED_IN, who, SHARING, clock())])
        (facts,) = load_facts([who])
        assert find_sharing_denial(facts, clock()) is None
        clock.advance(timedelta(hours=1))


@pytest.mark.parametrize("named", ["old", "new"])
def test_an_undated_no_outlives_the_undo_of_a_correction_that_had_stopped_the_address(
    tmp_path: Path, named: str
) -> None:  # I5
    old, new = email("ada"), email("ada.new")
    listed = old if named == "old" else new
    record([change(EventKind.OPTED_IN, listed, NEWS, START - timedelta(hours=2))])
    if listed is new:
        record([change(EventKind.OPTED_OUT, old, ALL_MARKETING, START - timedelta(hours=1))])
    assert allows(listed, "newsletter.monthly")
    move = move_address(old, new, origin=RequestOrigin("test", "test", START))
    assert not allows(listed, "newsletter.monthly")
    path = tmp_path / "list"
    path.write_text(f"{listed.exact}\n")
    imported(path, instructions_for("addresses", ALL, only="opt-outs"))
    undo_move(move.id, origin=RequestOrigin("test", "test", START))
    assert not allows(listed, "newsletter.monthly")


def test_an_undated_no_outlives_the_undo_of_a_press_that_had_stopped_the_address(
    tmp_path: Path,
) -> None:  # I5
    ada = email("ada")
    press = replace(change(EventKind.OPTED_OUT, ada, ALL_MARKETING, START), own_act=True)
    record([change(EventKind.OPTED_IN, ada, NEWS, START - timedelta(hours=1)), press])
    path = tmp_path / "list"
    path.write_text(f"{ada.exact}\n")
    imported(path, instructions_for("addresses", ALL, only="opt-outs"))
    record([Retraction(uuid4(), (press.id,), START, "unsubscribe_page", "recipient")])
    assert not allows(ada, "newsletter.monthly")
