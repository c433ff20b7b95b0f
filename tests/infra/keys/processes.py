"""Processes on one database that have different keys, and a rotation by one of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from dev.processes import wait_until
from preference_center import contacts
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.destinations.rules.delivery import active_suppressions
from preference_center.infra.context import EXTENSION_NAME, db, services
from preference_center.infra.db.connections import WEB_TIMEOUTS
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys.rotate_digests import rotate_digests
from preference_center.infra.keys.sealed_columns import ColumnProgress
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store.lookup import load_facts
from tests.clock import START, Clock

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.infra.config import Settings

FORM = parse_address("jane+shop@example.org", Channel.EMAIL)
GMAIL, GMAIL_FORM = (
    parse_address(text, Channel.EMAIL) for text in ("jane.doe@gmail.com", "janedoe@gmail.com")
)


@contextmanager
def process_with(settings: Settings, **changed: str) -> Iterator[Flask]:
    """Another process on the same database, with other settings; its context is entered."""
    from preference_center.app.web import create_app
    from preference_center.infra.context import db

    patient = replace(WEB_TIMEOUTS, retry=60, total=60, round_trip=60)  # as `app` is
    app = create_app(settings.model_copy(update=changed), timeouts=patient)
    with app.app_context():
        run_in_transaction(lambda _: None)  # every process begins by asking for the keys in use
        try:
            yield app
        finally:
            db.engine.dispose()


def new_key(key_id: str, number: int = 9) -> str:
    """An entry of a ring."""
    return f"{key_id}:{base64.urlsafe_b64encode(bytes([number]) * 32).decode()}"


def restart(app: Flask, keys: int = 1) -> None:
    """End the sessions of the processes that have so many keys."""
    with app.app_context():
        db.engine.dispose()
        url = services().settings.database_url
    query = """SELECT FROM pg_stat_activity
        WHERE application_name = %s AND datname = current_database()"""
    with psycopg.connect(url, autocommit=True) as connection:
        name = f"preference_center/{keys}"
        assert wait_until(lambda: connection.execute(query, (name,)).fetchone() is None, 20)


def two_keys(settings: Settings) -> str:
    return f"{settings.digest_keys},{new_key('d2')}"


def silent(_: ColumnProgress) -> None:
    """Of no interest."""


def no_pause(_: float) -> None:
    """Nobody waits for another one's request here."""


def rotate(*, all_restarted: bool = False) -> None:
    rotate_digests(silent, no_pause, all_restarted=all_restarted)


@contextmanager
def rotated(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a process that has brought the digests of `app`'s database to a second key."""
    with app.app_context():
        settings = services().settings
    restart(app)
    with process_with(settings, digest_keys=two_keys(settings)) as other:
        rotate()
        monkeypatch.setitem(other.extensions, EXTENSION_NAME, replace(services(), now=clock))
        yield
    with app.app_context():
        db.engine.dispose()


def denied(address: Address) -> bool:
    """Whether an opt-out of any form of its mailbox denies it marketing."""
    return bool(active_suppressions(load_facts([address])[0], START)) or any(
        fact.state.is_suppressed for fact in load_facts([address])[0]
    )


def put_contact(external_id: str, address: Address) -> None:
    contacts.upsert_contacts(
        [ContactUpdate(external_id=external_id, addresses=(address,))],
        RequestOrigin("test", "key:shop", services().now()),
    )


class Killed(BaseException):
    """The process ended here."""
