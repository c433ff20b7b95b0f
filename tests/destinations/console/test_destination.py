"""The page of one destination, and what may be done with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from preference_center.core.events import EventKind
from preference_center.core.staff import Role
from preference_center.destinations.console.settings import (
    PREFIX,
    missing_settings,
    read_settings,
)
from preference_center.infra.db.transactions import run_in_transaction
from tests.destinations.commands import say, stored, work
from tests.integrations.tools.receiver import SECRET, Receiver
from tests.integrations.tools.sendgrid import SendGridStandIn
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask

PAGE = "/console/window/shop"


@pytest.fixture
def operator(app: Flask, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> Staff:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("STAFF_NAME", "grace")
    words = [
        "--kind",
        "webhook",
        "--set",
        f"url={receiver.url}/",
        "--set",
        "secret=env:HOOK_SECRET",
    ]
    added = app.test_cli_runner().invoke(
        args=["destinations", "add", "shop", *words, "--topic", "acme.offers=offers"]
    )
    assert added.exit_code == 0, added.output
    return staff(app, Role.OPERATOR)


def status(app: Flask) -> str:
    with app.app_context():
        row = run_in_transaction(lambda c: c.execute("SELECT status FROM destination").fetchone())
    return str(row[0]) if row else "removed"


def shown_version(operator: Staff) -> dict[str, str]:
    """The field of the form that says which settings it was made from."""
    form = operator.get(f"{PAGE}/settings").get_data(as_text=True)
    found = re.search(r'name="version" value="([^"]+)"', form)
    return {"version": found[1]} if found else {}


def test_the_page_shows_topics_targets_and_what_it_can_do(operator: Staff) -> None:
    text = words(operator.get(PAGE))
    assert "Offers acme.offers email offers" in text
    assert "yes Turns topics off, and on again" in text
    assert "URL for its webhook" not in text
    assert SECRET not in text


def test_a_destination_is_resumed_paused_and_removed_with_a_confirmation(
    app: Flask, operator: Staff, receiver: Receiver
) -> None:
    say(app, EventKind.OPTED_OUT, "jane@example.com")
    asked = operator.get(f"{PAGE}/confirm/resume")
    assert "Addresses that wait for it now: 1" in words(asked)
    assert status(app) == "observe"  # I7
    assert operator.post(f"{PAGE}/confirm/resume").headers["Location"] == PAGE
    assert status(app) == "active"
    work(app)
    assert receiver.off["jane@example.com"] == {"offers"}
    assert "1 0 0 0" in words(operator.get(PAGE))  # the minute in which it was reflected
    assert "keep running" in words(operator.get(f"{PAGE}/confirm/pause"))
    refused = operator.post(f"{PAGE}/confirm/remove")
    assert refused.status_code == 422
    assert "pause it first" in words(refused)
    operator.post(f"{PAGE}/confirm/pause")
    assert status(app) == "paused"
    assert "can’t be undone" in words(operator.get(f"{PAGE}/confirm/remove"))
    assert operator.post(f"{PAGE}/confirm/remove").headers["Location"] == "/console/window"
    assert stored(app) == 0
    assert operator.get(PAGE).status_code == 404
    with app.app_context():
        entries = run_in_transaction(
            lambda c: c.execute("SELECT actor, action FROM audit ORDER BY at, id").fetchall()
        )
    by_hand = [
        action for who, action in entries if who == "console:grace" and "destination" in action
    ]
    assert by_hand == ["destination.resumed", "destination.paused", "destination.removed"]


def add_mailer(app: Flask, sendgrid: SendGridStandIn) -> Staff:
    settings = ["--set", f"base_url={sendgrid.url}", "--set", f"api_key={sendgrid.key}"]
    kind = ["--kind", "sendgrid", *settings, "--topic", "acme.offers=12"]
    added = app.test_cli_runner().invoke(args=["destinations", "add", "mailer", *kind])
    assert added.exit_code == 0, added.output
    return staff(app, Role.OPERATOR)


def test_a_tool_that_fails_its_check_is_not_resumed(
    app: Flask, sendgrid: SendGridStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAFF_NAME", "grace")
    operator = add_mailer(app, sendgrid)
    sendgrid.key = "another"
    answer = operator.post("/console/window/mailer/confirm/resume")
    assert answer.status_code == 422
    assert "mailer can't be used yet" in words(answer)
    assert status(app) == "observe"
    checked = operator.post("/console/window/mailer/check")
    assert "Checked: it can’t be used as it is." in words(checked)
    assert "It can’t be read:" in words(operator.post("/console/window/mailer/preview"))


def test_a_preview_says_what_would_be_pushed_and_recorded(
    app: Flask, sendgrid: SendGridStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAFF_NAME", "grace")
    sendgrid.held[12].add("mary@example.com")
    say(app, EventKind.OPTED_OUT, "jane@example.com")
    operator = add_mailer(app, sendgrid)
    text = words(operator.post("/console/window/mailer/preview"))
    assert "Addresses that would be pushed: 1." in text
    assert "opted_out acme.offers 1" in text


def test_settings_are_changed_if_the_tool_accepts_them(
    app: Flask, operator: Staff, receiver: Receiver
) -> None:
    form = operator.get(f"{PAGE}/settings").get_data(as_text=True)
    assert SECRET not in form
    assert 'type="password"' in form
    entered = {"setting:url": "nonsense", "setting:secret": SECRET}
    refused = operator.post(f"{PAGE}/settings", **entered, **shown_version(operator))
    assert refused.status_code == 422
    assert 'value="nonsense"' in refused.get_data(as_text=True)
    missing = operator.post(f"{PAGE}/settings", **{"setting:url": ""}, **shown_version(operator))
    assert "Fill this in." in words(missing)
    entered = {"setting:url": f"{receiver.url}/", "setting:rate": "5 per second"}
    entered |= shown_version(operator)
    changed = operator.post(f"{PAGE}/settings", **entered, **{"setting:secret": SECRET})
    assert changed.headers["Location"] == PAGE
    assert "5 per second" in words(operator.get(PAGE))
    entered |= shown_version(operator)
    unchanged = operator.post(f"{PAGE}/settings", **entered, **{"setting:secret": ""})
    assert unchanged.headers["Location"] == PAGE
    assert operator.post(f"{PAGE}/check").status_code == 200  # with the secret that was kept


def test_settings_that_were_changed_since_the_page_was_opened_are_not_overwritten(
    operator: Staff, receiver: Receiver
) -> None:
    path = f"{PAGE}/settings"
    entered = {"setting:url": f"{receiver.url}/", "setting:secret": SECRET}
    first, second = shown_version(operator), shown_version(operator)
    changed = operator.post(path, **entered, **first, **{"setting:rate": "5 per second"})
    assert changed.headers["Location"] == PAGE
    late = entered | second | {"setting:rate": "7 per second"}
    refused = operator.post(path, **late)
    assert refused.status_code == 409
    assert "have been changed since you opened this page" in words(refused)
    assert 'value="5 per second"' in refused.get_data(as_text=True)
    assert "7 per second" not in words(operator.get(PAGE))
    without = {name: value for name, value in late.items() if name != "version"}
    assert operator.post(path, **without).status_code == 409
    assert operator.post(path, **late | shown_version(operator)).headers["Location"] == PAGE
    assert "7 per second" in words(operator.get(PAGE))


@pytest.mark.parametrize("name", ["url", "rate", "private_networks"])
def test_a_changed_setting_whatever_its_name_keeps_no_secret(
    operator: Staff, receiver: Receiver, name: str
) -> None:
    value = {"url": f"{receiver.url}/elsewhere", "rate": "5 per second"}.get(name, "10.0.0.0/8")
    same = {"setting:url": f"{receiver.url}/", "setting:secret": ""} | shown_version(operator)
    refused = operator.post(f"{PAGE}/settings", **same | {f"setting:{name}": value})
    assert refused.status_code == 422
    assert "Enter it again" in words(refused)
    assert value not in words(operator.get(PAGE))


def test_the_password_of_a_file_drop_is_not_sent_to_the_server_of_who_changes_its_folder() -> None:
    held = {"folder": "sftp://drop@sftp.example.com/in", "host_key": "SHA256:x", "password": "p"}
    form = {PREFIX + "folder": "sftp://me@evil.example/in", PREFIX + "host_key": "SHA256:y"}
    entered = read_settings("file_drop", form | {PREFIX + "password": ""}, held)
    assert not entered.get("password")
    assert "password" in missing_settings("file_drop", entered, held)
    same = {PREFIX + name: value for name, value in held.items() if name != "password"}
    assert read_settings("file_drop", same, held) == held


def test_who_may_only_look_has_no_buttons(app: Flask, operator: Staff, receiver: Receiver) -> None:
    support = staff(app, Role.SUPPORT)
    for path in ("/console/window", PAGE):
        html = support.get(path).get_data(as_text=True)
        main = html[html.index("<main") :]
        assert "<form" not in main
        assert "/confirm/" not in main
        assert "add_destination" not in main
    assert receiver.url not in support.get(PAGE).get_data(as_text=True)  # it may have a token in it
    own = operator.get(PAGE).get_data(as_text=True)
    assert "/confirm/resume" in own
    assert receiver.url in own


def test_what_a_vendor_says_is_text(app: Flask, operator: Staff) -> None:
    hostile = "<script>alert(1)</script>"
    with app.app_context():
        run_in_transaction(
            lambda c: c.execute(
                "UPDATE destination SET status = 'active', reason = %s, retry_at = created_at",
                (hostile,),
            )
        )
        run_in_transaction(
            lambda c: c.execute(
                """INSERT INTO listing (destination_id, kind, next_at, reason)
                SELECT id, 'pull', created_at, %(text)s FROM destination""",
                {"text": hostile},
            )
        )
        run_in_transaction(
            lambda c: c.execute(
                """INSERT INTO unknown_event_type (destination_id, type, count, last_at)
                SELECT id, %(text)s, 1, created_at FROM destination""",
                {"text": hostile},
            )
        )
    page = operator.get(PAGE)
    assert words(page).count(hostile) == 3
    assert hostile not in page.get_data(as_text=True)
