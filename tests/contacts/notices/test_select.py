"""Selecting whom to inform: each person once, however often it is stopped or started."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.contacts.notices import select
from preference_center.contacts.notices import store as notices_store
from preference_center.contacts.notices.rules import Reach, Recipient
from preference_center.contacts.notices.select import (
    count_recipients,
    may_be_sent,
    next_rows,
    select_all,
)
from preference_center.contacts.notices.store import insert_notices
from preference_center.core.errors import InvalidInput, UnknownPolicyVersion
from preference_center.core.events import EventKind
from preference_center.infra.db.transactions import override_limits
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.erasure.erase import erase_addresses
from preference_center.rights.requests.correct import move_address, undo_move
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.contacts.notices.people import (
    CATALOGUE_WITH_VERSIONS,
    ORIGIN,
    REACHED,
    VERSION,
    add_contact,
    add_people,
    address,
    announce_in,
    close,
    happen,
    rows,
)
from tests.in_force import put_in_force
from tests.ledger.changes import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask


class Killed(BaseException):
    """What a kill is to the code: it ends between two transactions, or within one."""


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    announce_in(app)
    with app.app_context():
        yield


def ignore(_: int) -> None:
    pass


def notices() -> list[tuple[Any, ...]]:
    return rows("SELECT reach, count(*) FROM policy_notice GROUP BY reach ORDER BY reach")


def test_everyone_active_is_selected_once_and_the_unreachable_are_listed() -> None:  # I4, I6
    add_people()
    selected = select_all(VERSION, ignore)
    assert selected.new == {Reach.REACHABLE: 4, Reach.BOUNCED: 1}
    found = next_rows(VERSION, 0)
    assert {row["address"] for row in found if row["reach"] == "reachable"} == REACHED
    assert {row["language"] for row in found if "contact" in row} == {"it"}


def test_a_count_writes_nothing() -> None:
    add_people()
    assert count_recipients(VERSION, ignore) == {Reach.REACHABLE: 4, Reach.BOUNCED: 1}
    assert rows("SELECT 1 FROM policy_notice UNION SELECT 1 FROM policy_announcement") == []


def test_a_later_run_adds_only_who_has_come_since() -> None:
    add_people()
    select_all(VERSION, ignore)
    add_contact("c-new", "new@example.com")
    add_contact("c-ada", "ada@new.example")  # she was informed at another address
    again = select_all(VERSION, ignore)
    assert (again.new, again.earlier) == ({Reach.REACHABLE: 1}, 5)
    assert sum(count for _, count in notices()) == 6


@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_selected_twice_or_skipped_however_often_it_is_killed(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, people = Random(seed), 23
    monkeypatch.setattr(select, "PAGE", 3)
    for number in range(people):
        add_contact(f"c-{number}", f"p{number}@example.com", f"p{number}@work.example")
    kills = 0
    inserts = insert_notices

    def perhaps_killed(*given: Any) -> list[Recipient]:
        found = inserts(*given)
        if random.random() < 0.4:
            raise Killed
        return found

    monkeypatch.setattr(notices_store, "insert_notices", perhaps_killed)
    while kills < 200:
        try:
            select_all(VERSION, ignore)
            break
        except Killed:
            kills += 1
    assert kills
    assert notices() == [("reachable", people)]


def test_two_runs_at_once_select_everyone_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "PAGE", 2)
    for number in range(20):
        add_contact(f"c-{number}", f"p{number}@example.com")

    def run(_: int) -> None:
        with app.app_context(), override_limits(patient()):
            select_all(VERSION, ignore)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, range(3)))
    assert notices() == [("reachable", 20)]


def test_who_is_erased_loses_their_notice_and_gets_no_other(clock: Clock) -> None:  # I6
    add_people()
    select_all(VERSION, ignore)
    clock.advance(timedelta(minutes=1))
    [[number]] = rows("SELECT address_id FROM policy_notice ORDER BY seq OFFSET 1 LIMIT 1")
    erase_addresses([number], Extent.ACCOUNT, origin=RequestOrigin("test", "test", clock.now))
    assert sum(count for _, count in notices()) == 4
    select_all(VERSION, ignore)
    assert sum(count for _, count in notices()) == 4


@pytest.mark.parametrize("is_selected", [False, True], ids=["moved before", "moved since"])
@pytest.mark.parametrize("name", ["c-ada", None], ids=["a contact", "no contact"])
def test_who_has_corrected_the_address_is_informed_at_the_new_one(
    name: str | None, *, is_selected: bool
) -> None:
    old, new = address("ada@old.example"), address("ada@new.example")
    add_contact("c-grace", "grace@example.com")
    if name:
        add_contact(name, old.exact)
    happen(EventKind.CONSENTED, "acme.news", old.exact)
    if is_selected:
        select_all(VERSION, ignore)
    move_address(old, new, origin=ORIGIN)
    select_all(VERSION, ignore)
    found = [row["address"] for row in next_rows(VERSION, 0) if may_be_sent(row)]
    assert sorted(found) == [new.exact, "grace@example.com"]


def test_a_correction_that_was_undone_changes_nothing() -> None:
    add_contact("c-ada", "ada@old.example")
    done = move_address(address("ada@old.example"), address("ada@new.example"), origin=ORIGIN)
    undo_move(done.id, origin=ORIGIN)
    select_all(VERSION, ignore)
    assert [row["address"] for row in next_rows(VERSION, 0)] == ["ada@old.example"]


def test_who_has_closed_the_account_since_is_denied_when_the_row_is_read() -> None:  # I4
    add_people()
    select_all(VERSION, ignore)
    close("zoe@example.com")
    [row] = [row for row in next_rows(VERSION, 0) if row["address"] == "zoe@example.com"]
    assert (row["allow"], row["rule"]) == (False, "closed")


def test_a_version_that_names_no_message_can_not_be_announced() -> None:
    with pytest.raises(InvalidInput, match="names no message_type: add the key"):
        select_all("2026-01", ignore)
    with pytest.raises(UnknownPolicyVersion):
        select_all("1999", ignore)


def test_a_row_names_the_topics_that_the_version_ends(app: Flask) -> None:
    link = 'message_type = "policy_update"\n'
    put_in_force(app, CATALOGUE_WITH_VERSIONS.replace(link, f"{link}reconsent = true\n"))
    add_people()
    select_all(VERSION, lambda _: None)
    ends = {row["address"]: row["ends"] for row in next_rows(VERSION, 0) if "ends" in row}
    assert ends == {"solo@example.com": ["acme.news"]}  # the others gave no consent
