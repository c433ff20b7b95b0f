"""Fingerprints of the keys that the stored data was made with."""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog
from flask import Flask, request

from preference_center.context import services
from preference_center.errors import KeyMismatch, Unavailable
from preference_center.storage.db import outage
from preference_center.storage.db.database import Connection, run_in_transaction
from preference_center.storage.db.durability import require_durable
from preference_center.storage.ledger import canonical_forms

log = structlog.get_logger()


def require_known_keys_before_requests(
    app: Flask, spooling_endpoints: Collection[str] = ()
) -> None:
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
        log.warning("database_unavailable")
        app.before_request(_run_until_success(require_known_keys, spooling_endpoints))


def require_known_keys(*, check_canonical_forms: bool = True) -> None:
    """Refuse to go on with keys that can't read what is stored; note new keys.

    `forms` also refuses canonical forms of addresses that are not those of the stored ones.

    Raises KeyMismatch: a wrong digest key would find no suppression and allow everybody.
    So would an additional one, until something wraps the stored digests with it. Every
    process begins with this, so it also raises NotDurable, see `require_durable`.
    """
    keys = services().keys

    def verify(connection: Connection) -> None:
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
        if check_canonical_forms:
            canonical_forms.verify_canonical_forms(connection)

    run_in_transaction(verify)


def _run_until_success(
    check: Callable[[], None], spooling_endpoints: Collection[str]
) -> Callable[[], None]:
    """`work`, until it has succeeded once; not for the probe that asks nobody."""
    done = False

    def before_request() -> None:
        nonlocal done
        if done or request.path == "/livez":
            return
        try:
            check()
            done = True
        except Unavailable:
            if request.endpoint not in spooling_endpoints or not outage.is_database_down():
                raise

    return before_request
