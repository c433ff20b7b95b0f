"""All contacts of a large SendGrid account come by an export (I13)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from preference_center.integrations.base.contract import (
    ContactSnapshot,
    DeliveryError,
    DestinationConfig,
)
from preference_center.integrations.sendgrid import client
from preference_center.integrations.sendgrid.connector import SendGrid
from tests.integrations.both_ways_contract import whole
from tests.integrations.contract import ANNA, NOW, Rig
from tests.integrations.sendgrid.test_connector import Account
from tests.integrations.tools.described import Description
from tests.integrations.tools.sendgrid import KEY, SendGridStandIn

MANY = 2_600


EXPORTS = ("/v3/marketing/contacts/exports", "/v3/marketing/contacts/count")


@pytest.fixture(scope="module")
def description() -> Description:
    path = Path(__file__).parents[1] / "contracts/sendgrid-exports.json"
    return Description(path, ignored=lambda path: not path.startswith(EXPORTS))


@pytest.fixture
def server(description: Description) -> Iterator[SendGridStandIn]:
    description.faults.clear()
    with SendGridStandIn(description.watch) as server:
        for number in range(MANY):
            server.add(f"p{number}@example.com", NOW - timedelta(days=30))
        yield server
    assert description.faults == [], "SendGrid's own description"


@pytest.fixture
def rig(server: SendGridStandIn) -> Rig:
    settings = {"api_key": KEY, "base_url": server.url, "link_field": "choices"}
    return Rig("sendgrid", DestinationConfig("sg-main", settings, {"news": "11"}), Account(server))


def scanned(rig: Rig, cursor: str | None = None) -> tuple[list[ContactSnapshot], str | None]:
    """By a new connector for each page, as when workers restart."""
    return whole(lambda place: SendGrid(rig.setup, rig.http).scan(place), cursor)


def searches(server: SendGridStandIn) -> int:
    return server.seen.count(("POST", "/v3/marketing/contacts/search"))


def test_a_large_account_takes_as_many_requests_as_its_export_has_files(
    rig: Rig, server: SendGridStandIn
) -> None:
    rows, _ = scanned(rig)
    assert {row.address for row in rows} == set(server.contacts)
    assert {row.link for row in rows} == {""}
    assert searches(server) == 0
    assert len(server.seen) == 2 + 2 + 3 + 3  # count, begin; pending; three files, asked for first


def test_each_exchange_about_an_export_is_held_to_the_description(
    rig: Rig, description: Description
) -> None:
    before = description.checked
    scanned(rig)
    assert description.checked - before == 2 + 2 + 3  # count, begin; pending; ready for each file


def test_the_hosts_of_files_are_not_sent_the_key(rig: Rig, server: SendGridStandIn) -> None:
    scanned(rig)
    assert set(server.exports.credentials) == {None}


def test_an_export_that_is_not_ready_is_asked_for_again_later(
    rig: Rig, server: SendGridStandIn
) -> None:
    page = SendGrid(rig.setup, rig.http).scan(None)
    assert (page.rows, page.done, page.poll_after) == ((), False, client.POLL_INTERVAL)
    page = SendGrid(rig.setup, rig.http).scan(page.cursor)
    assert (page.rows, page.done, page.poll_after) == ((), False, client.POLL_INTERVAL)
    assert len(server.exports.bodies) == 1


def test_who_came_while_it_was_made_is_found_by_the_scan_after_it(
    rig: Rig, server: SendGridStandIn
) -> None:  # I13
    page = SendGrid(rig.setup, rig.http).scan(None)
    server.add(ANNA, NOW - timedelta(minutes=1))
    rows, cursor = scanned(rig, page.cursor)
    assert ANNA not in {row.address for row in rows}
    assert ANNA in {row.address for row in scanned(rig, cursor)[0]}


@pytest.mark.parametrize("loss", ["forgotten", "failed", "expired", "never ready"])
def test_an_export_that_is_lost_is_asked_for_anew(
    rig: Rig, server: SendGridStandIn, loss: str
) -> None:
    later = NOW
    page = Rig(rig.kind, rig.setup, rig.tool).make().scan(None)  # type: ignore[attr-defined]
    match loss:
        case "forgotten":
            server.exports.forget()
        case "failed":
            server.exports.fail_all()
        case "expired":
            server.exports.polls, server.exports.expires_at = 0, "2026-11-25T11:00:00Z"
        case _:
            server.exports.polls, later = 1, NOW + timedelta(hours=7)
    rig = Rig(rig.kind, rig.setup, rig.tool, rig.http)
    page = rig.make(now=lambda: later).scan(page.cursor)  # type: ignore[attr-defined]
    assert len(server.exports.bodies) == 2
    server.exports.polls, server.exports.expires_at = 0, "2026-12-25T11:00:00Z"
    assert {row.address for row in scanned(rig, page.cursor)[0]} == set(server.contacts)


def test_a_file_that_is_gone_is_no_refusal_of_the_key(rig: Rig, server: SendGridStandIn) -> None:
    server.exports.polls = 0
    page = SendGrid(rig.setup, rig.http).scan(None)
    page = SendGrid(rig.setup, rig.http).scan(page.cursor)
    assert page.rows
    server.exports.hidden = True
    page = SendGrid(rig.setup, rig.http).scan(page.cursor)
    assert page.poll_after
    assert len(server.exports.bodies) == 2


@pytest.mark.parametrize("how", ["fails each time", "is not allowed"])
def test_without_an_export_the_contacts_are_searched_for(
    rig: Rig, server: SendGridStandIn, how: str
) -> None:
    server.exports.fails = 100
    server.exports.allowed = how == "fails each time"
    rows, cursor = scanned(rig)
    assert {row.address for row in rows} == set(server.contacts)
    assert len(server.exports.bodies) == (client.MAX_ATTEMPTS if server.exports.allowed else 0)
    assert json.loads(cursor or "")["until"] == int(NOW.timestamp())


@pytest.mark.parametrize(
    "packed, as_array",
    [(True, True), (False, False), (False, True)],
    ids=["packed array", "plain lines", "plain array"],
)
def test_a_file_is_read_in_any_form_that_makes_sense(
    rig: Rig, server: SendGridStandIn, *, packed: bool, as_array: bool
) -> None:
    server.exports.packed, server.exports.as_array = packed, as_array
    server.contacts["x"] = {"id": "1", "phone_number_id": "+49151", "email": None}
    rows, _ = scanned(rig)
    assert {row.address for row in rows} == set(server.contacts) - {"x"}


def test_a_file_is_read_in_parts_that_end_within_a_lease(
    rig: Rig, server: SendGridStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_ROWS_PER_PAGE", 300)
    rows, _ = scanned(rig)
    assert [row.address for row in rows] == list(server.contacts)


def test_a_file_of_several_gzip_members_is_read_to_its_end(
    rig: Rig, server: SendGridStandIn
) -> None:  # I13
    """RFC 1952, 2.2: a file is a series of members."""
    server.exports.members = 3
    rows, _ = scanned(rig)
    assert {row.address for row in rows} == set(server.contacts)


def test_an_export_that_names_no_files_is_no_empty_account(
    rig: Rig, server: SendGridStandIn
) -> None:  # I13
    server.exports.without_urls = True
    rows, _ = scanned(rig)
    assert {row.address for row in rows} == set(server.contacts)
    assert len(server.exports.bodies) == client.MAX_ATTEMPTS


@pytest.mark.parametrize("damage", ["cut", "no JSON"])
def test_a_damaged_file_is_read_again_and_never_in_part(
    rig: Rig, server: SendGridStandIn, damage: str
) -> None:  # else those in the rest are not suppressed
    server.exports.polls = 0
    page = SendGrid(rig.setup, rig.http).scan(None)
    server.exports.damage = damage
    with pytest.raises(DeliveryError, match="file") as caught:
        SendGrid(rig.setup, rig.http).scan(page.cursor)
    assert not caught.value.permanent
    server.exports.damage = ""
    assert len(scanned(rig, page.cursor)[0]) == MANY
