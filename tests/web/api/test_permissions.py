from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import keys
from tests.clock import START
from tests.web.api.sender import Sender, consent, make_sender, opt_out

if TYPE_CHECKING:
    from flask import Flask

ASK = {"message_type": "offers.weekly", "recipient": "ada@example.com"}
LINK = {"address": "ada@example.com", "scope": "all_marketing"}
PERSON = {"address": "ada@example.com"}
AUDIT = "SELECT at, actor, action, detail FROM audit"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer pc_shop_short",
        "Bearer pc_shop_" + "A" * 43,
        "Bearer " + "é" * 50,
        "Basic c2hvcDpzZWNyZXQ=",
        "Basic %%%",
        "Token x",
    ],
)
def test_without_a_key_nothing_is_answered(sender: Sender, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}

    answer = sender.client.post("/v1/decisions", json=ASK, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.get_json()["type"].endswith("/problems/unauthenticated")


def test_a_key_opens_only_under_its_own_name(sender: Sender) -> None:
    headers = {"Authorization": f"Bearer {sender.key.replace('pc_shop_', 'pc_shap_')}"}

    assert sender.client.post("/v1/decisions", json=ASK, headers=headers).status_code == 401


@pytest.mark.parametrize(
    "path, body, needed, others",
    [
        ("decisions", ASK, "check", ["write", "lift", "links"]),
        ("opt-outs", opt_out(), "write", ["check", "lift", "links"]),
        ("consents", consent(), "write", ["check", "lift", "links"]),
        ("links", LINK, "links", ["check", "write", "lift", "portal"]),
        ("portal-links", PERSON, "portal", ["check", "write", "lift", "links"]),
        ("preferences/query", PERSON, "portal", ["check", "write", "lift", "links"]),
    ],
)
def test_a_missing_scope_is_refused_and_recorded(
    in_force: Flask, path: str, body: object, needed: str, others: list[str]
) -> None:
    sender = make_sender(in_force, "campaigns", others)

    answer = sender.post(f"/v1/{path}", body)

    assert answer.status_code == 403
    assert needed in answer.get_json()["detail"]
    ((at, actor, action, detail),) = sender.rows(AUDIT)
    assert (at, actor, action) == (START, "key:campaigns", "api.refused")
    assert detail["needed"] == f"scope:{needed}"
    assert sender.rows("SELECT 1 FROM event") == []


def test_a_key_asks_only_about_its_message_types(in_force: Flask) -> None:
    # I4: nobody calls marketing a password reset
    sender = make_sender(in_force, "campaigns", ["check"], ["offers.weekly"])

    assert sender.ask("offers.weekly", "ada@example.com")["allow"]
    answer = sender.post("/v1/decisions", ASK | {"message_type": "password_reset"})

    assert answer.status_code == 403
    assert answer.get_json()["type"].endswith("/problems/not-permitted")
    assert [row[3]["needed"] for row in sender.rows(AUDIT)] == ["message_type:password_reset"]


def test_the_audit_keeps_nothing_that_might_be_an_address(in_force: Flask) -> None:
    # I12
    sender = make_sender(in_force, "campaigns", ["check"], ["offers.weekly"])

    answer = sender.post("/v1/decisions", ASK | {"message_type": "ada@example.com"})

    assert answer.status_code == 403
    assert [row[3]["needed"] for row in sender.rows(AUDIT)] == ["message_type:(unknown)"]


def test_a_revoked_key_is_refused_at_once_in_the_process_that_revoked_it(sender: Sender) -> None:
    assert sender.post("/v1/decisions", ASK).status_code == 200

    with sender.app.app_context():
        run_in_transaction(lambda connection: keys.revoke_key(connection, "shop", START))

    assert sender.post("/v1/decisions", ASK).status_code == 401


def test_another_process_notices_a_revocation_within_two_seconds(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.monotonic
    assert sender.post("/v1/decisions", ASK).status_code == 200
    with sender.app.app_context():
        run_in_transaction(lambda c: c.execute("UPDATE api_key SET revoked_at = %s", (START,)))

    monkeypatch.setattr(time, "monotonic", lambda: real() + 2.5)

    assert sender.post("/v1/decisions", ASK).status_code == 401


def test_the_database_holds_no_key(sender: Sender) -> None:
    secret = sender.key.removeprefix("pc_shop_")

    ((row,),) = sender.rows("SELECT api_key::text FROM api_key")

    assert secret not in row
    assert secret.encode().hex() not in row


def test_a_browsers_session_is_no_key_and_no_csrf_token_is_asked(sender: Sender) -> None:
    answer = sender.post("/v1/opt-outs", opt_out())

    assert answer.status_code == 200
