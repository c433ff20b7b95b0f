"""Fingerprints of the keys that the stored data was made with."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from flask import Flask, request

from preference_center.errors import KeyMismatch, Unavailable
from preference_center.extensions import services
from preference_center.storage.database import Connection, run

log = structlog.get_logger()


def require_known_keys_of(app: Flask) -> None:
    """Do it for a web process: now, or if the database is away before any request is answered.

    A machine that boots starts us in any order. Until the database is back, every request
    but `/livez` is told to try again; with wrong keys, then, every one fails.
    Raises KeyMismatch.
    """
    try:
        with app.app_context():
            require_known_keys()
    except Unavailable:
        log.warning("database_away")
        app.before_request(_once(require_known_keys))


def require_known_keys() -> None:
    """Refuse to go on with keys that can't read what is stored; note new keys.

    Raises KeyMismatch: a wrong digest key would find no suppression and allow everybody.
    So would an additional one, until something wraps the stored digests with it.
    """
    keys = services().keys

    def work(connection: Connection) -> None:
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

    run(work)


def _once(work: Callable[[], None]) -> Callable[[], None]:
    """`work`, until it has succeeded once; not for the probe that asks nobody."""
    done = False

    def go() -> None:
        nonlocal done
        if not done and request.path != "/livez":
            work()
            done = True

    return go
