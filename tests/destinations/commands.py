"""Connecting tools by `flask destinations`, and what happens to them, as tests need it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.destinations.connect import connect
from preference_center.destinations.push import sync
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from tests.in_force import put_in_force
from tests.integrations.tools.receiver import SECRET, Receiver
from tests.integrations.tools.sendgrid import SendGridStandIn

if TYPE_CHECKING:
    import pytest
    from click.testing import Result
    from flask import Flask


def ready_to_connect(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The service with a catalogue, allowed to connect to a receiver on this machine."""
    put_in_force(app)
    monkeypatch.setenv("CONNECTORS_ALLOW_PRIVATE", "1")
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    return app


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=words)


def add_hook(app: Flask, receiver: Receiver) -> Result:
    words = [
        "--kind",
        "webhook",
        "--set",
        f"url={receiver.url}/",
        "--set",
        "secret=env:HOOK_SECRET",
    ]
    return flask(app, "destinations", "add", "shop", *words, "--topic", "acme.offers=offers")


def add_sendgrid(app: Flask, server: SendGridStandIn, *words: str) -> Result:
    base = ["--kind", "sendgrid", "--set", f"base_url={server.url}"]
    return flask(
        app, "destinations", "add", "mailer", *base, "--set", "api_key=env:SENDGRID_KEY", *words
    )


def say(app: Flask, kind: EventKind, address: str, *, days: int | None = None) -> None:
    with app.app_context():
        now = services().now()
        until = now + timedelta(days=days) if days else None
        person = parse_address(address, Channel.EMAIL)
        record([Change(uuid4(), kind, person, "acme.offers", now, now, "t", "t", until=until)])


def work(app: Flask) -> None:
    with app.app_context():
        until = services().now() + timedelta(seconds=5)
        for (number,) in run_in_transaction(
            lambda c: c.execute("SELECT id FROM destination").fetchall()
        ):
            sync(number, connect, until=until, stop=lambda: False)


def stored(app: Flask) -> int:
    with app.app_context():
        return len(run_in_transaction(lambda c: c.execute("SELECT FROM destination").fetchall()))
