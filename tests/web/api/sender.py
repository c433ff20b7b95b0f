"""A sender as tests want one, and the bodies it sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.watermarks import parse_watermark
from preference_center.web.api import keys
from preference_center.web.api.keys import KeyScope
from tests.clock import START
from tests.ledger.changes import stored_evidence

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender with a key."""

    app: Flask
    client: FlaskClient
    key: str

    def post(self, path: str, body: Any) -> TestResponse:
        return self.client.post(path, json=body, headers=self.headers)

    def post_raw(self, path: str, raw: bytes, **headers: str) -> TestResponse:
        given = {"Content-Type": "application/json"} | self.headers | headers
        return self.client.post(path, data=raw, headers=given)

    def put(self, path: str, body: Any) -> TestResponse:
        return self.client.put(path, json=body, headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def ask(self, message_type: str, recipient: str, channel: str = "email") -> dict[str, Any]:
        body = {"message_type": message_type, "recipient": recipient, "channel": channel}
        answer = self.post("/v1/decisions", body)
        assert answer.status_code == 200, answer.text
        decision = dict(answer.get_json())
        parse_watermark(decision.pop("as_of"))
        return decision

    def opt_out(self, address: str, scope: str, **more: Any) -> dict[str, Any]:
        body = opt_out(address=address, scope=scope, **more)
        answer = self.post("/v1/opt-outs", body)
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def consent(self, address: str, topic: str, **more: Any) -> dict[str, Any]:
        answer = self.post("/v1/consents", consent(address=address, topic=topic, **more))
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.app.app_context():
            return run_in_transaction(
                lambda connection: connection.execute(query.encode()).fetchall()
            )

    def evidence(self) -> list[dict[str, str]]:
        """That of every event, the oldest first."""
        with self.app.app_context():
            return stored_evidence()


def opt_out(**fields: Any) -> dict[str, Any]:
    return {
        "address": "ada@example.com",
        "scope": "acme.offers",
        "via": "phone",
        "received_at": START.isoformat(),
    } | fields


def evidence(**fields: Any) -> dict[str, Any]:
    return {
        "source": "checkout",
        "wording": "Yes, write to me",
        "language": "en",
        "occurred_at": START.isoformat(),
    } | fields


def consent(**fields: Any) -> dict[str, Any]:
    given = {"address": "ada@example.com", "topic": "acme.news", "evidence": evidence()}
    return given | fields


def make_sender(
    app: Flask,
    name: str = "shop",
    scopes: Sequence[str] = tuple(KeyScope),
    message_types: Sequence[str] = ("*",),
) -> Sender:
    wanted = [KeyScope(scope) for scope in scopes]
    with app.app_context():
        key = run_in_transaction(lambda c: keys.create_key(c, name, wanted, message_types, START))
    return Sender(app, app.test_client(), key)
