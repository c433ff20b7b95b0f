"""Webhook requests of a tool, stored and ingested by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from preference_center.destinations.process import ingest_webhooks
from preference_center.destinations.store import webhooks
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from tests.destinations.steps import ANNA, TOPIC
from tests.destinations.tool import Tool


def post(number: int, *rows: Mapping[str, Any]) -> bool | None:
    """Store a request as the view does once it is verified."""
    context = services()
    body, now = json.dumps(rows).encode(), context.now()
    new_id = context.new_id()
    return run_in_transaction(
        lambda c: webhooks.insert_webhook(c, context.keys, new_id, number, body, now)
    )


def ingest_stored(number: int, tool: Tool) -> int:
    until = services().now() + timedelta(seconds=5)
    return ingest_webhooks(number, tool.connect, until=until, stop=lambda: False)


def unsubscribe(address: str = ANNA, act: str = "e1", **more: Any) -> dict[str, Any]:
    """A click in a mail that SendGrid sent."""
    at = int(services().now().timestamp())
    row = {"event": "group_unsubscribe", "email": address, "asm_group_id": TOPIC, "timestamp": at}
    return row | {"sg_event_id": act} | more
