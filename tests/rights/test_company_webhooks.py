"""Signed webhooks to the company's program, on a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from standardwebhooks.webhooks import Webhook

from preference_center.core.occurrences import Occurrence
from preference_center.infra import occurrences
from preference_center.infra.company_webhooks import ALLOW_PRIVATE, GIVE_UP_AFTER
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights import webhooks
from preference_center.rights.requests import handle
from preference_center.rights.requests.clocks import run_clocks
from preference_center.rights.requests.steps import (
    complete_data_request,
    refuse_data_request,
    withdraw_data_request,
)
from preference_center.rights.rules.requests import (
    IdentityLevel,
    RefusalGround,
    RequestKind,
    RequestOutcome,
)
from preference_center.rights.webhooks import send_due_webhooks
from tests.clock import Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.rights.asking import CONTROLS, ask, rows

SECRET = "whsec_" + "c2VjcmV0" * 6
DAY = timedelta(days=1)


@dataclass
class Program:
    """The company's: `statuses` are its next answers, then 204."""

    statuses: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]

    def types(self) -> list[str]:
        """Sorted: those of one moment are sent in any order."""
        return sorted(body["type"] for body in self.bodies())


@pytest.fixture
def program(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    found = Program()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(found.statuses.pop(0) if found.statuses else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv(ALLOW_PRIVATE, "1")
    put_in_force(app, f'{CATALOGUE}\n[rights]\nclosing = "ask"\n')
    with app.app_context():
        settings = services().settings.model_copy(
            update={
                "rights_webhook_url": f"http://127.0.0.1:{server.server_port}/rights?x=1",
                "rights_webhook_secret": SECRET,
            }
        )
        monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(services(), settings=settings))
        yield found
    server.shutdown()
    server.server_close()


def send(clock: Clock) -> int:
    return send_due_webhooks(until=clock.now + timedelta(seconds=5), stop=lambda: False)


def test_a_webhook_is_signed_and_names_nobody(program: Program, clock: Clock) -> None:  # I12
    asked = ask(language="it", text="I am Ada", identity_asked=True)
    assert send(clock) == 1
    [(headers, body)] = program.received
    signed = {name: headers[name] for name in headers if name.startswith("webhook-")}
    # The library compares the time with the real one, so sign again with its own.
    name, at = signed["webhook-id"], clock.now
    assert signed["webhook-signature"] == Webhook(SECRET).sign(name, at, body.decode())
    assert int(signed["webhook-timestamp"]) == at.timestamp()
    assert b"example.com" not in body
    data = json.loads(body)["data"]
    assert data["request"] == str(asked.id)
    assert (data["kind"], data["state"]) == ("access", "identifying")
    assert send(clock) == 0


def test_the_company_is_asked_before_an_account_is_erased_or_closed(
    program: Program, clock: Clock
) -> None:
    ask(RequestKind.ERASE, level=CONTROLS)
    ask(RequestKind.CLOSE, level=CONTROLS)
    send(clock)
    assert program.types() == [
        *("rights.close_requested", "rights.erase_requested"),
        *("rights.requested", "rights.requested"),
    ]


def test_the_company_is_asked_once_it_is_known_who_asks(program: Program, clock: Clock) -> None:
    erase = ask(RequestKind.ERASE, level=IdentityLevel.NONE)
    send(clock)
    assert program.types() == ["rights.requested"]
    handle.confirm_identity(erase.id, IdentityLevel.CONTACT, "support")
    send(clock)
    assert program.types() == ["rights.erase_requested", "rights.requested"]


@pytest.mark.parametrize("end", ["refuse", "withdraw", "complete"])
def test_every_decision_is_reported(program: Program, clock: Clock, end: str) -> None:
    asked = ask(RequestKind.CORRECT, level=CONTROLS)
    if end == "refuse":
        refuse_data_request(asked.id, RefusalGround.CLAIMS, "support")
    elif end == "withdraw":
        withdraw_data_request(asked.id, "person")
    else:
        complete_data_request(asked.id, RequestOutcome.PARTLY, "support")
    send(clock)
    assert program.types() == ["rights.decided", "rights.requested"]


def test_a_request_that_waits_too_long_is_reported(program: Program, clock: Clock) -> None:
    ask(RequestKind.CORRECT, level=CONTROLS)
    run_clocks(clock.advance(24 * DAY))
    send(clock)
    assert program.types() == ["rights.due_soon", "rights.requested"]


def test_a_webhook_is_retried_until_it_is_accepted(program: Program, clock: Clock) -> None:
    program.statuses = [500, 503]
    ask()
    assert send(clock) == 0
    assert send(clock) == 0  # not due yet
    clock.advance(timedelta(seconds=10))
    assert send(clock) == 0
    clock.advance(timedelta(seconds=20))
    assert send(clock) == 1
    ids = {headers["webhook-id"] for headers, _ in program.received}
    assert len(program.received) == 3
    assert len(ids) == 1  # the program can tell a repeat


def test_a_webhook_that_is_never_accepted_is_given_up_after_a_week(
    program: Program, clock: Clock
) -> None:
    program.statuses = [410, 410]
    ask()
    send(clock)
    clock.advance(GIVE_UP_AFTER)
    occurrences.take()
    send(clock)
    assert rows("SELECT outcome, next_at, attempts FROM rights_webhook") == [("failed", None, 2)]
    assert occurrences.take() == {(Occurrence.JOB_FAILED, "send_rights_webhooks")}


def test_a_webhook_of_a_worker_that_died_is_sent_by_another(program: Program, clock: Clock) -> None:
    ask()
    run_in_transaction(
        lambda c: webhooks.OUTBOX.claim(c, now=clock.now, until=clock.now + DAY / 1440)
    )
    assert send(clock) == 0
    clock.advance(timedelta(minutes=2))
    assert send(clock) == 1
    assert program.types() == ["rights.requested"]


def test_a_worker_that_lost_its_lease_reopens_no_delivered_webhook(
    program: Program, clock: Clock
) -> None:
    ask()
    slow = run_in_transaction(
        lambda c: webhooks.OUTBOX.claim(c, now=clock.now, until=clock.now + DAY / 1440)
    )
    assert slow
    clock.advance(timedelta(minutes=2))
    send(clock)
    run_in_transaction(lambda c: webhooks.OUTBOX.settle(c, slow.id, "failed", clock.now))
    assert rows("SELECT outcome, next_at FROM rights_webhook") == [("delivered", None)]


def test_done_webhooks_are_deleted_after_a_month(program: Program, clock: Clock) -> None:
    ask()
    send(clock)
    now = clock.advance(31 * DAY)
    assert run_in_transaction(lambda c: webhooks.purge_webhooks(c, now)) == 1


def test_without_a_program_nothing_is_queued(app: Flask) -> None:
    with app.app_context():
        ask()
        assert rows("SELECT count(*) FROM rights_webhook") == [(0,)]
