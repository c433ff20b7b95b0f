"""Fingerprints of the keys that the stored data was made with."""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog
from flask import Flask, request

from preference_center.errors import KeyMismatch, Unavailable
from preference_center.extensions import services
from preference_center.storage.db import outage
from preference_center.storage.db.database import Connection, run
from preference_center.storage.db.durability import require_durable
from preference_center.storage.ledger import canonical_forms

log = structlog.get_logger()


def require_known_keys_of(app: Flask, spooling: Collection[str] = ()) -> None:
    """Do it for a web process: now, or if the database is away before any request is answered.

    A machine that boots starts us in any order. Until the database is back, every request
    but `/livez` is told to try again; with wrong keys, then, every one fails.
    Endpoints of `spooling` are answered in an outage: none of them reaches the database then,
    and what ends the outage has checked the keys. Raises KeyMismatch.
    """
    try:
        with app.app_context():
            require_known_keys()
    except Unavailable:
        log.warning("database_away")
        app.before_request(_once(require_known_keys, spooling))


def require_known_keys(*, forms: bool = True) -> None:
    """Refuse to go on with keys that can't read what is stored; note new keys.

    `forms` also refuses canonical forms of addresses that are not those of the stored ones.

    Raises KeyMismatch: a wrong digest key would find no suppression and allow everybody.
    So would an additional one, until something wraps the stored digests with it. Every
    process begins with this, so it also raises NotDurable, see `require_durable`.
    """
    keys = services().keys

    def work(connection: Connection) -> None:
        require_durable(connection)
        rows = connection.execute("SELECT key, fingerprint FROM key_fingerprint")
        stored: dict[str, str] = dict(rows.fetchall())
        keys.verify_fingerprints(stored)
        if stored and f"digest:{keys.digest_id}" not in stored:
            raise KeyMismatch(
                f"DIGEST_KEYS: the key {keys.digest_id!r} is new, and stored digests can't be"
                " carried over to it yet: take it away again."
            )
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO key_fingerprint (key, fingerprint) VALUES (%s, %s)"
                " ON CONFLICT DO NOTHING",
                list(keys.fingerprints().items()),
            )
        if forms:
            canonical_forms.verify(connection)

    run(work)


def _once(work: Callable[[], None], spooling: Collection[str]) -> Callable[[], None]:
    """`work`, until it has succeeded once; not for the probe that asks nobody."""
    done = False

    def go() -> None:
        nonlocal done
        if done or request.path == "/livez":
            return
        try:
            work()
            done = True
        except Unavailable:
            if request.endpoint not in spooling or not outage.ongoing():
                raise

    return go
