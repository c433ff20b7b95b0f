"""People in the ledger, and looks at them, for tests of their pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, Change, EventKind
from preference_center.infra.context import services
from preference_center.ledger import record
from tests.web.console.staff import Staff

if TYPE_CHECKING:
    from uuid import UUID

    from flask import Flask
    from werkzeug.test import TestResponse

ADA = parse_address("ada@example.com", Channel.EMAIL)
HOSTILE = '<script>alert("x")</script>'


def say(
    app: Flask, kind: EventKind = EventKind.OPTED_OUT, scope: str = ALL_MARKETING, **given: Any
) -> UUID:
    """Record what Ada did, now, by phone unless it is given otherwise."""
    with app.app_context():
        now, new_id = services().now(), services().new_id()
        fields: dict[str, Any] = {
            "address": ADA,
            "occurred_at": now,
            "received_at": now,
            "source": "cli",
            "actor": "cli:grace",
            "evidence": {"via": "phone"},
        }
        record([Change(new_id, kind, scope=scope, **fields | given)])
        return new_id


def find(who: Staff, text: str, reason: str = "called", reference: str = "") -> TestResponse:
    """Send the form that finds a person."""
    return who.post("/console/people", who=text, reason=reason, reference=reference)


def open_person(who: Staff, text: str = ADA.exact) -> str:
    """Look somebody up; the path of their page."""
    answer = find(who, text)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    return answer.headers["Location"]
