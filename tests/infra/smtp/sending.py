"""Sending due emails, and their outcomes."""

from __future__ import annotations

from datetime import timedelta

from preference_center.infra.config_sections import MailServer, TransportSecurity
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.outbox import OutgoingEmail
from preference_center.web.emails import send_due_emails
from tests.infra.smtp.stub import (
    PASSWORD,
    USER,
)


def at(port: int) -> MailServer:
    return MailServer("127.0.0.1", port, TransportSecurity.NONE)


def work(server: MailServer) -> int:
    until = services().now() + timedelta(seconds=5)
    return send_due_emails(server, until=until, stop=lambda: False)


def state(email: OutgoingEmail) -> tuple[str | None, bool]:
    """The outcome, and whether the text is still there."""
    row = run_in_transaction(
        lambda c: c.execute(
            "SELECT outcome, ciphertext IS NOT NULL FROM outgoing_mail WHERE id = %s", [email.id]
        ).fetchone()
    )
    assert row
    return row[0], row[1]


def secured(port: int, security: TransportSecurity) -> MailServer:
    return MailServer("127.0.0.1", port, security, USER, PASSWORD)
