"""A service with a catalogue, and mails to it."""

# ruff: noqa: F401 - fixtures of a module are imported by name

from __future__ import annotations

from tests.inbound.mail.fixtures import (
    allowed,
    app,
    ledger,
    mailboxes,
    make_to,
    review_reasons,
    set_to,
    smtp,
    store,
    take,
    to,
)
