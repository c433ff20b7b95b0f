"""Fingerprints of the keys that stored data depends on."""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog
from flask import Flask, request

from preference_center.core.errors import KeyMismatch, Unavailable, UnavailableCause
from preference_center.infra.context import services
from preference_center.infra.db import connections
from preference_center.infra.db.schema import require_fitting_schema
from preference_center.infra.db.transactions import Connection, require_durable, run_in_transaction
from preference_center.infra.hooks import Hook

log = structlog.get_logger()


@Hook
def verify_stored_forms(connection: Connection) -> None:
    """Raise KeyMismatch unless addresses have the canonical forms in which they were stored."""


def require_known_keys_before_requests(
    app: Flask, spooling_endpoints: Collection[str] = ()
) -> None:
    """Check the keys of a web process now, or, if the database is down, before the first request.

    Services may start in any order at boot, and before the tables are migrated. Until the database
    can be used, every request but `/livez` gets an error that asks to retry; with wrong keys, every
    request fails then.
    `spooling_endpoints` are served in an outage: they don't reach the database then, and the
    thread that ends the outage has checked the keys. Raises KeyMismatch.
    """
    try:
        with app.app_context():
            require_known_keys()
    except Unavailable as error:
        log.warning("database_unavailable", **error.log_fields)
        app.before_request(_run_until_success(require_known_keys, spooling_endpoints))


def require_known_keys(*, check_canonical_forms: bool = True) -> None:
    """Check that our keys are those of the stored data, and store the fingerprints of new ones.

    A digest key that was added waits until `flask keys rotate digests` has brought the stored
    digests to it.

    `check_canonical_forms` also checks that addresses have the same canonical forms as when they
    were stored.

    Raises KeyMismatch: a wrong digest key would find no suppression and allow everybody. Every
    process starts with this, so it also raises NotDurable (`require_durable`), and Unavailable
    with the cause SCHEMA (`require_fitting_schema`).
    """
    keys = services().keys

    def verify(connection: Connection) -> None:
        require_fitting_schema(connection)
        require_durable(connection)
        rows = connection.execute("SELECT key, fingerprint FROM key_fingerprint")
        stored: dict[str, str] = dict(rows.fetchall())
        keys.verify_fingerprints(stored)
        waiting: set[str] = set()
        if stored:
            keys.follow(sum(name.startswith("digest:") for name in stored))
            waiting = {f"digest:{name}" for name, _ in keys.digest_chain[keys.digest_length :]}
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO key_fingerprint (key, fingerprint) VALUES (%s, %s)"
                " ON CONFLICT DO NOTHING",
                [item for item in keys.fingerprints().items() if item[0] not in waiting],
            )
        if check_canonical_forms:
            verify_stored_forms(connection)

    try:
        run_in_transaction(verify)
    except Unavailable as error:
        if error.cause is UnavailableCause.KEYS:
            raise KeyMismatch(str(error)) from error
        # so that opt-outs are spooled from now on, and not tried
        connections.report_failure(error.cause, error.reason)
        raise


def _run_until_success(
    check: Callable[[], None], spooling_endpoints: Collection[str]
) -> Callable[[], None]:
    """`check`, before each request until it has succeeded once; not for `/livez`."""
    done = False

    def before_request() -> None:
        nonlocal done
        if done or request.path == "/livez":
            return
        try:
            check()
            done = True
        except Unavailable:
            if request.endpoint not in spooling_endpoints or not connections.is_database_down():
                raise

    return before_request
