"""Whom to inform of a version of the privacy policy: a stream that is resumed, and reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.contacts.notices import select
from preference_center.contacts.notices.select import select_all
from tests.contacts.notices.people import REACHED, VERSION, add_people, announce_in, close
from tests.web.api.sender import make_sender

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

    from tests.web.api.sender import Sender

AUDIENCE = f"/v1/policies/{VERSION}/audience"


@pytest.fixture
def sender(app: Flask) -> Sender:
    announce_in(app)
    with app.app_context():
        add_people()
        select_all(VERSION, lambda _: None)
    return make_sender(app)


def get(sender: Sender, path: str = AUDIENCE) -> TestResponse:
    return sender.client.get(path, headers=sender.headers)


def lines(answer: TestResponse) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_programs_read_which_version_to_show(sender: Sender) -> None:
    found = get(sender, "/v1/policies").get_json()["versions"]
    assert [(each["reference"], each["in_force"]) for each in found] == [
        ("privacy/2026-01", True),
        (f"privacy/{VERSION}", False),
    ]
    assert found[1]["effective"] == "2027-01-01"
    assert found[1]["summary"]["en"] == "A new supplier."


def test_the_stream_has_everyone_once_and_ends_with_their_number(sender: Sender) -> None:
    *found, last = lines(get(sender))
    assert last == {"end": True, "count": 5}
    assert {each["address"] for each in found if each["reach"] == "reachable"} == REACHED
    bob = next(each for each in found if each["reach"] == "bounced")
    assert (bob["allow"], bob["rule"], bob["advisory"]) == (True, "service", "bounced")
    assert sender.rows("SELECT 1 FROM policy_notice WHERE noticed_at IS NOT NULL") == []  # I7


def test_a_stream_that_broke_off_is_resumed_after_any_row(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "NOTICES_PER_PAGE", 2)
    *whole, _ = lines(get(sender))
    for place in range(1, len(whole) + 1):
        *rest, last = lines(get(sender, f"{AUDIENCE}?after={whole[place - 1]['cursor']}"))
        assert rest == whole[place:]
        assert last["count"] == len(rest)


def test_decisions_are_as_of_now(sender: Sender, app: Flask) -> None:  # I4
    with app.app_context():
        close("zoe@example.com")
    *found, _ = lines(get(sender))
    zoe = next(each for each in found if each["address"] == "zoe@example.com")
    assert (zoe["allow"], zoe["rule"]) == (False, "closed")


def test_what_was_sent_is_recorded_once(sender: Sender) -> None:
    *found, _ = lines(get(sender))
    refs = [each["ref"] for each in found][:2]
    notices = f"/v1/policies/{VERSION}/notices"
    assert sender.post(notices, {"refs": refs}).get_json()["noticed"] == 2
    assert sender.post(notices, {"refs": [*refs, "999"]}).get_json()["noticed"] == 0
    *again, _ = lines(get(sender))
    assert [each.get("via") for each in again][:3] == ["stream", "stream", None]


def test_a_version_that_is_not_declared_is_not_found(sender: Sender) -> None:
    assert get(sender, "/v1/policies/1999/audience").status_code == 404
    assert sender.post("/v1/policies/1999/notices", {"refs": []}).status_code == 404


def test_a_version_without_a_message_is_refused(sender: Sender) -> None:
    answer = get(sender, "/v1/policies/2026-01/audience")
    assert answer.status_code == 422
    assert "message_type" in answer.get_json()["detail"]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=99999999999999999999", "limit=1"])
def test_a_faulty_cursor_is_refused(sender: Sender, query: str) -> None:
    assert get(sender, f"{AUDIENCE}?{query}").status_code == 422


def test_a_key_needs_the_message_type_and_the_scope(app: Flask, sender: Sender) -> None:
    assert get(make_sender(app, "other", message_types=["invoice"])).status_code == 403
    assert get(make_sender(app, "checks", scopes=["check"])).status_code == 403
