"""Senders' keys in the console: created once, revoked, and what they were used for."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dev.processes import wait_until
from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.rules.requests import RequestKind
from preference_center.web.api import keys
from preference_center.web.api.keys import KeyScope
from tests.clock import START
from tests.in_force import put_in_force
from tests.rights.console.asking import ask
from tests.web.api.sender import Sender, make_sender
from tests.web.console.staff import staff, words

if TYPE_CHECKING:
    from flask import Flask

SCRIPT = "<script>alert(1)</script>"


def audit(app: Flask) -> list[Any]:
    query = "SELECT actor, action, detail FROM audit WHERE action LIKE '%key.%' ORDER BY id"
    with app.app_context():
        return run_in_transaction(lambda c: c.execute(query).fetchall())


def add_key(app: Flask, name: str, *scopes: KeyScope, types: tuple[str, ...] = ("*",)) -> str:
    with app.app_context():
        return run_in_transaction(lambda c: keys.create_key(c, name, scopes, types, START))


def test_a_key_is_created_shown_once_and_works(app: Flask) -> None:
    put_in_force(app)
    who = staff(app, Role.OPERATOR, name="ada")
    answer = who.post(
        "/console/senders/new",
        name="shop",
        scope=["check", "catalogue"],
        message_type="invoice",
        rate="100 per minute",
    )
    text = re.search(r"pc_shop_[\w-]{43}", answer.get_data(as_text=True))
    assert text
    with app.app_context():
        key = keys.find_key(text[0])
    assert key
    assert key.scopes == {"check", "catalogue"}
    assert key.rate == "100 per minute"
    (entry,) = audit(app)
    assert entry[:2] == ("console:ada", "api_key.created")
    assert entry[2]["message_types"] == ["invoice"]
    for path in ("/console/senders", "/console/senders/keys/shop"):
        page = who.get(path)
        assert "shop" in words(page)
        assert text[0] not in page.get_data(as_text=True)


@pytest.mark.parametrize("scope", ["read", "write", "lift", "rights", "portal"])
@pytest.mark.parametrize("roles", [[Role.OPERATOR], [Role.ADMIN], [*Role]])
def test_nobody_grants_a_scope_beyond_their_own_permissions(
    app: Flask, roles: list[Role], scope: str
) -> None:
    who = staff(app, *roles)
    refused = who.post("/console/senders/new", name="shop", scope=["catalogue", scope])
    assert refused.status_code == 422
    assert f"the scopes {scope} are more than you may do yourself" in words(refused)
    assert f'value="{scope}"' not in refused.get_data(as_text=True)
    assert audit(app) == []


def test_a_wrong_form_says_what_to_fix_and_keeps_what_was_entered(app: Flask) -> None:
    put_in_force(app)
    who = staff(app, Role.OPERATOR)
    no_type = who.post("/console/senders/new", name="shop", scope="check")
    assert no_type.status_code == 422
    assert "at least one message type" in words(no_type)
    assert 'value="check" checked' in no_type.get_data(as_text=True)
    hostile = who.post("/console/senders/new", name=SCRIPT, scope="catalogue", rate=SCRIPT)
    assert hostile.status_code == 422
    assert SCRIPT not in hostile.get_data(as_text=True)
    assert who.post("/console/senders/new", name="shop").status_code == 422
    assert who.post("/console/senders/new", name="shop", scope="everything").status_code == 422
    unknown = who.post("/console/senders/new", name="shop", scope="check", message_type="x")
    assert unknown.status_code == 422
    assert audit(app) == []


def test_a_key_is_revoked_after_a_question(app: Flask) -> None:
    text = add_key(app, "shop", KeyScope.WRITE)
    who = staff(app, Role.ADMIN, name="ada")
    question = who.get("/console/senders/keys/shop/revoke")
    assert "This can’t be undone" in words(question)
    with app.app_context():
        assert keys.find_key(text)  # I7: the question ended nothing
    assert who.post("/console/senders/keys/shop/revoke").status_code == 303
    with app.app_context():
        assert keys.find_key(text) is None
    assert audit(app) == [("console:ada", "api_key.revoked", {"name": "shop"})]
    assert "revoked already" in words(who.get("/console/senders/keys/shop/revoke"))


def test_use_is_counted_per_key_and_day(app: Flask) -> None:
    put_in_force(app)
    text = add_key(app, "shop", KeyScope.CHECK, types=("offers.weekly",))
    client = app.test_client()
    headers = {"Authorization": f"Bearer {text}"}

    def ask(message_type: str, **body: Any) -> int:
        path = "/v1/decisions"
        data = {"message_type": message_type, **body}
        return client.post(path, json=data, headers=headers).status_code

    assert ask("offers.weekly", recipients=["a@example.com", "nobody"]) == 200
    assert ask("invoice", recipient="a@example.com") == 403
    stored = staff(app, Role.COMPLIANCE)
    assert client.get("/v1/suppressions", headers=headers).status_code == 403
    with app.app_context():
        keys.store_key_use()
    page = words(stored.get("/console/senders/keys/shop"))
    assert "3 2 1 2 0 0" in page  # requests, decisions, denied, refused, above the rate, read
    assert "3 2 1 2 0" in words(stored.get("/console/senders"))


def wait_for_changes(reader: Sender, count: int) -> None:
    """Until the feed gives so many: another database's transaction holds it back while it runs."""

    def is_there() -> bool:
        answer = reader.client.get("/v1/changes", headers=reader.headers)
        return len(answer.get_json()["changes"]) == count

    assert wait_until(is_there, 30)


def test_what_a_key_has_read_is_shown(app: Flask) -> None:
    put_in_force(app)
    sender = make_sender(app, scopes=["read", "write", "rights"])
    for number in range(3):
        sender.opt_out(f"p{number}@example.com", "all_marketing")
    ask(app, RequestKind.ACCESS)
    wait_for_changes(make_sender(app, "early", ["read"]), 3)
    lists = ("/v1/suppressions?limit=2", "/v1/changes", "/v1/rights")
    for path in lists:
        assert sender.client.get(path, headers=sender.headers).status_code == 200
    with app.app_context():
        keys.store_key_use()
        listed = run_in_transaction(lambda c: keys.list_usage(c, START.date()))
    (usage,) = [each for each in listed if each.name == "shop"]
    assert usage.rows_read == 2 + 3 + 1
    page = words(staff(app, Role.COMPLIANCE).get(f"/console/senders/keys/{usage.name}"))
    assert "6 0 0 0 0 6" in page


def test_counts_of_past_weeks_are_deleted(app: Flask) -> None:
    from preference_center.web.api import keys

    with app.app_context():
        add_key(app, "shop", KeyScope.WRITE)
        keys.count_key_use("shop", START, requests=1)
        keys.store_key_use()
        run_in_transaction(lambda c: keys.delete_old_usage(c, START + timedelta(days=35)))
        assert len(run_in_transaction(lambda c: keys.list_usage(c, START.date()))) == 1
        run_in_transaction(lambda c: keys.delete_old_usage(c, START + timedelta(days=36)))
        assert run_in_transaction(lambda c: keys.list_usage(c, START.date())) == []


def test_a_link_key_is_created_for_topics_and_revoked(app: Flask) -> None:
    put_in_force(app)
    who = staff(app, Role.OPERATOR, name="ada")
    assert who.post("/console/senders/link-keys/new", name="news").status_code == 422
    assert who.post("/console/senders/link-keys/new", name=SCRIPT, topic="x").status_code == 422
    created = who.post("/console/senders/link-keys/new", name="news", brand="acme")
    assert created.status_code == 200
    assert "can’t be shown again" in words(created)
    listed = words(who.get("/console/senders"))
    assert "acme.news, acme.offers, acme.sms" in listed
    assert "still opt out" in words(who.get("/console/senders/link-keys/news/revoke"))
    assert who.post("/console/senders/link-keys/news/revoke").status_code == 303
    assert [entry[:2] for entry in audit(app)] == [
        ("console:ada", "link_key.created"),
        ("console:ada", "link_key.revoked"),
    ]


def test_who_may_only_look_sees_no_buttons(app: Flask) -> None:
    add_key(app, "shop", KeyScope.WRITE)
    for path in ("/console/senders", "/console/senders/keys/shop"):
        html = staff(app, Role.COMPLIANCE).get(path).get_data(as_text=True)
        assert "/revoke" not in html
        assert "/new" not in html
