"""The company's own program reports opt-outs to us, end to end."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from standardwebhooks.webhooks import Webhook as Signer

from preference_center.destinations.connect import connect
from preference_center.destinations.process import ingest_webhooks
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from tests.in_force import put_in_force

if TYPE_CHECKING:
    from flask import Flask

KEY = "whsec_" + base64.b64encode(b"a key of the test's own, 32 long").decode()
ANNA = "anna@example.com"


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    put_in_force(app)
    monkeypatch.setenv("HOOK_SECRET", KEY)
    base = ["--kind", "standard_webhooks", "--set", "webhook_secret=env:HOOK_SECRET"]
    words = ["destinations", "add", "shop", *base, "--sends", "acme.offers"]
    found = app.test_cli_runner().invoke(args=words)
    assert found.exit_code == 0, found.output
    # What signs never stands in a URL (I12).
    assert found.output.rstrip().endswith("/in/shop")
    return app


def post(app: Flask, body: str, at: datetime) -> int:
    stamp = datetime.fromtimestamp(int(at.timestamp()), UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(stamp.timestamp())),
        "webhook-signature": Signer(KEY).sign("msg_1", stamp, body),
    }
    return app.test_client().post("/in/shop", data=body, headers=headers).status_code


def take(app: Flask) -> list[tuple[str, str]]:
    """Kind and scope of every event, once all that was posted is taken in."""
    with app.app_context():
        context = services()
        number = run_in_transaction(lambda c: destinations.get_by_name(c, context.keys, "shop")).id
        until = context.now() + timedelta(seconds=5)
        ingest_webhooks(number, connect, until=until, stop=lambda: False)
        rows = run_in_transaction(
            lambda c: c.execute("SELECT kind, scope FROM event ORDER BY scope").fetchall()
        )
    return [(str(kind), str(scope)) for kind, scope in rows]


def test_its_events_are_recorded_once(app: Flask) -> None:  # I13
    with app.app_context():
        now = services().now()
    data = {"address": ANNA, "id": "7", "by_person": True}
    events = [
        {"type": "opted_out", "timestamp": now.isoformat(), "data": data | {"topic": topic}}
        for topic in ("acme.offers", "acme.elsewhere")
    ]
    events.append({"type": "complained", "data": data | {"id": "8"}})
    assert post(app, json.dumps(events), now) == 204
    assert post(app, json.dumps(events[:1]), now) == 204
    assert take(app) == [("opted_out", "acme.offers"), ("complained", "all_marketing")]


def test_a_late_report_changes_nothing(app: Flask) -> None:
    with app.app_context():
        late = services().now() - timedelta(minutes=6)
    body = json.dumps({"type": "opted_out", "data": {"address": ANNA}})
    assert post(app, body, late) == 401
    assert take(app) == []
