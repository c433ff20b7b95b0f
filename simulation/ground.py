"""What all runs of one process stand on: a database, the service, and a clock that jumps."""

from __future__ import annotations

import logging
import math
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Self

import psycopg
import structlog
from flask import Flask
from sqlalchemy import event

from dev.engines import Engines
from dev.postgres import make_database
from preference_center.app.web import create_app
from preference_center.catalogue import catalogue_digest
from preference_center.catalogue import store as catalogues
from preference_center.core.events import uuid7
from preference_center.destinations import erase
from preference_center.destinations.store import erasure_tasks, states, verification
from preference_center.infra.config import Settings
from preference_center.infra.context import EXTENSION_NAME, Services, db, services
from preference_center.infra.db import transactions
from preference_center.infra.db.connections import DatabaseTimeouts
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.job_queue import JobQueue
from preference_center.infra.keys import rotate_digests
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger.history_loss import EXTENSION_KEY as HISTORY_LOSS
from preference_center.ledger.spool import host_time
from preference_center.rights.erasure.journal import EXTENSION_KEY as REPLAY_GATE
from preference_center.rights.erasure.journal import start_journal
from simulation.people import START
from tests.environment import (
    connecting_within,
    has_database,
    migrate,
    rename_database,
    settings_for,
    with_database,
)

CATALOGUE = Path(__file__).with_name("catalogue.toml")
TEMPLATE, NAME, ROTATING = "pc_simulation", "pc_simulation_runs", "pc_simulation_rotating"
NEXT_KEY = f"d2:{urlsafe_b64encode(bytes([9]) * 32).decode()}"
FEW = {"CHUNK_SIZE": 40, "MAX_ROWS_AT_SWAP": 60}
"""A rotation's sizes, since there are few people: it takes several steps for them, too."""
PATIENT = DatabaseTimeouts(lock=60, statement=600, idle=3600, retry=600, total=600, round_trip=600)
"""In real time, which must change nothing: a busy machine is no fault of the service's.

`idle` is the longest: a worker may be frozen amid a transaction for most of a run.
"""
_NOWHERE = "redis://127.0.0.1:9/0"
"""Redis is simulated: nothing listens here."""


@dataclass(slots=True)
class Clock:
    """Simulated time: it moves on request, and never back."""

    now: datetime = START
    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        """The time (UTC), as the host that is at work has it."""
        return self.now + self.ahead

    @contextmanager
    def of_host(self, ahead: timedelta) -> Iterator[None]:
        """What is done meanwhile is done on a host whose clock is so much ahead."""
        self.ahead = ahead
        try:
            yield
        finally:
            self.ahead = timedelta(0)

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        self.now += timedelta(seconds=seconds)

    def reach(self, moment: datetime) -> None:
        """Let time pass until then, if it has not come yet."""
        self.now = max(self.now, moment)


@dataclass(slots=True)
class Ground:
    """One database with the service on it; `emptied` begins a run."""

    app: Flask
    url: str
    clock: Clock = field(default_factory=Clock)
    before_transaction: Callable[[], None] = lambda: None
    """Called before each transaction of the service; what it raises ends the work."""
    before_claim: Callable[[], None] = lambda: None
    """Called inside of the transaction that claims rows, before it locks any."""

    def services(self) -> Services:
        """The service's own, of this run."""
        found: Services = self.app.extensions[EXTENSION_NAME]
        return found

    def empty(self, seed: str, queue: Callable[[Clock], JobQueue], journal: str) -> None:
        """Delete every row, and begin time, ids, chance, Redis, limits and the journal again."""
        self.before_transaction = self.before_claim = lambda: None
        self.clock.now, self.clock.ahead = START, timedelta(0)
        random, clock = Random(seed), self.clock
        own_queue = queue(clock)
        self.app.extensions[EXTENSION_NAME] = replace(
            self.services(),
            now=clock,
            random=random,
            new_id=lambda: uuid7(clock(), random.getrandbits(80)),
            make_queue=lambda: own_queue,
            settings=self.services().settings.model_copy(
                update={"erasure_journal": journal, "report_addresses": "@stop.example.com"}
            ),
        )
        for name in (REPLAY_GATE, HISTORY_LOSS):
            self.app.extensions.pop(name, None)
        self.services().limiter.reset()  # which counts in real time
        db.engine.dispose()  # with the plans that its connections keep
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            # All of them: what the planner knows of a table must not depend on earlier runs.
            rows = connection.execute(
                "SELECT string_agg(format('%I', tablename), ', ') FROM pg_tables WHERE schemaname"
                " = 'public' AND tablename NOT IN ('alembic_version', 'catalogue_version')"
            ).fetchall()
            connection.execute(f"TRUNCATE {rows[0][0]} RESTART IDENTITY CASCADE".encode())
        self._store_first_digest_key()
        with self.app.app_context():
            start_journal()
        random.seed(seed)

    def _store_first_digest_key(self) -> None:
        """Where a digest key waits to be used: with the others, nothing needs be stored."""
        keys = self.services().keys
        if len(keys.digest_chain) == 1:
            return
        first = next(iter(keys.digest_chain))[0]
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "INSERT INTO key_fingerprint (key, fingerprint) VALUES (%s, %s)",
                (f"digest:{first}", keys.fingerprints()[f"digest:{first}"]),
            )
        with self.app.app_context():
            require_known_keys()


@contextmanager
def _quiet_app(settings: Settings) -> Iterator[Flask]:
    """An app that logs nothing and never reads the catalogue again, which real time decides."""
    fresh, logs = catalogues._CACHE_SECONDS, structlog.get_config()  # noqa: SLF001 - time is an input here
    catalogues._CACHE_SECONDS = math.inf  # noqa: SLF001 - the same
    app = create_app(settings, timeouts=PATIENT)  # which configures the logs
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield app
    finally:
        catalogues._CACHE_SECONDS = fresh  # noqa: SLF001 - the same
        structlog.configure(**logs)


@dataclass(frozen=True, slots=True)
class _PatientLimits:
    """In place of the variable of `override_limits`: what it is given is made as long as PATIENT.

    But for locks: only a frozen worker holds one that another waits for, in any run.
    """

    limits: ContextVar[DatabaseTimeouts | None]

    def get(self) -> DatabaseTimeouts | None:
        return self.limits.get()

    def set(self, given: DatabaseTimeouts) -> Token[DatabaseTimeouts | None]:
        retry = PATIENT.retry if given.retry else 0.0
        return self.limits.set(replace(PATIENT, lock=given.lock, retry=retry))

    def reset(self, token: Token[DatabaseTimeouts | None]) -> None:
        self.limits.reset(token)


@contextmanager
def _patiently() -> Iterator[None]:
    """Give each click, replay and new connection, too, whatever real time it needs.

    They have limits of their own.
    """
    limits = transactions._LIMITS  # noqa: SLF001 - time is an input here
    transactions._LIMITS = _PatientLimits(limits)  # type: ignore[assignment]  # noqa: SLF001 - the same
    try:
        with connecting_within(int(PATIENT.round_trip)):
            yield
    finally:
        transactions._LIMITS = limits  # noqa: SLF001 - the same


@contextmanager
def _in_order() -> Iterator[None]:
    """Claim rows that are due at the same time by their numbers, not by where they lie.

    That depends on when PostgreSQL found their old places free, in real time. The service
    need not care: sorting a million rows that a list made due at once would cost it dear.
    """
    claim, take = states._CLAIM, verification._CLAIM  # noqa: SLF001 - chance is an input here
    states._CLAIM = claim.replace("ORDER BY next_at", "ORDER BY next_at, address_id")  # noqa: SLF001 - the same
    verification._CLAIM = take.replace("ORDER BY verify_at", "ORDER BY verify_at, address_id")  # noqa: SLF001 - the same
    tasks, capabilities = erasure_tasks._CLAIM, erase._capabilities  # noqa: SLF001 - the same
    erasure_tasks._CLAIM = tasks.replace("ORDER BY t.next_at", "ORDER BY t.next_at, t.erasure_id")  # noqa: SLF001 - the same
    # The kinds of simulated destinations are real ones, whose abilities differ.
    erase._capabilities = lambda destination, connector: connector.capabilities  # noqa: SLF001, ARG005 - the same
    try:
        yield
    finally:
        states._CLAIM, verification._CLAIM = claim, take  # noqa: SLF001 - the same
        erasure_tasks._CLAIM, erase._capabilities = tasks, capabilities  # noqa: SLF001 - the same


def _prepare_at_once(connection: psycopg.Connection) -> None:
    """Parse and plan each statement once, not six times: no run lasts long enough for that."""
    connection.prepare_threshold, connection.prepared_max = 0, None


def _is_never_prepared(query: str) -> bool:
    """Whether it must not be: several commands can't, and a rotation's lock would keep a snapshot.

    For that the rotation's own index would wait for ever.
    """
    return ";" in query or "pg_try_advisory_xact_lock" in query


def _watching(found: Ground) -> type[psycopg.Cursor[Any]]:
    """Cursors that call a hook before rows are claimed for a push."""

    class Watching(psycopg.Cursor[Any]):
        def execute(self, query: Any, *given: Any, **options: Any) -> Self:
            if query is states._CLAIM:  # noqa: SLF001 - the moment that decides what is right
                found.before_claim()
            if not any(given) and _is_never_prepared(str(query)):
                options["prepare"] = False
            return super().execute(query, *given, **options)

    return Watching


@contextmanager
def _by_simulated_clocks() -> Iterator[None]:
    """Have PostgreSQL's clock, and that since a host's boot, show simulated time to the spool.

    And rotate digests in small steps.
    """
    select, boot = host_time._select_time, host_time.read_boot_clock  # noqa: SLF001 - time is an input here
    sizes = {name: getattr(rotate_digests, name) for name in FEW}
    host_time._select_time = lambda connection: _true_time()  # noqa: SLF001, ARG005 - the same
    host_time.read_boot_clock = lambda: ("simulated", _true_time() - START)
    for name, size in FEW.items():
        setattr(rotate_digests, name, size)
    try:
        yield
    finally:
        host_time._select_time, host_time.read_boot_clock = select, boot  # noqa: SLF001 - the same
        for name, size in sizes.items():
            setattr(rotate_digests, name, size)


def _true_time() -> datetime:
    """That of no host in particular."""
    clock = services().now
    assert isinstance(clock, Clock)
    return clock.now


@contextmanager
def ground(engines: Engines, name: str = NAME) -> Iterator[Ground]:
    """A database `name`, as the migrations make it, and the service on it, in its context."""
    with _patiently(), _in_order(), _by_simulated_clocks(), _service(engines, name) as found:
        yield found


@contextmanager
def rotating_ground(engines: Engines) -> Iterator[Ground]:
    """Within `ground`: another for one run, whose processes have a digest key that waits.

    Its tables are altered in the run, which must leave nothing behind.
    """
    _drop_database(engines.database.url, ROTATING)
    with _service(engines, ROTATING, digest_keys=NEXT_KEY) as found:
        yield found
    _drop_database(engines.database.url, ROTATING)


def _drop_database(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


@contextmanager
def _service(engines: Engines, name: str, digest_keys: str = "") -> Iterator[Ground]:
    """The service on the database `name`, which is made if needed, with more `digest_keys`."""
    server = engines.database.url
    make_database(server, name, TEMPLATE)
    settings = settings_for(with_database(server, name), _NOWHERE)
    if digest_keys:
        given = {"digest_keys": f"{settings.digest_keys},{digest_keys}"}
        settings = settings.model_copy(update=given)
    with _quiet_app(settings) as app, app.app_context():
        found = Ground(app, with_database(server, name))
        event.listen(db.engine, "checkout", lambda *_: found.before_transaction())
        watching = _watching(found)

        def prepared(connection: psycopg.Connection, _: object) -> None:
            _prepare_at_once(connection)
            connection.cursor_factory = watching

        event.listen(db.engine, "connect", prepared)
        try:
            yield found
        finally:
            db.engine.dispose()


def prepare(engines: Engines) -> None:
    """Make the template that `ground` copies, unless it is there: all tables, a catalogue.

    Nothing of a simulation's own database need outlive it, nor may chance move its rows.
    """
    server = engines.database.url
    with psycopg.connect(server, autocommit=True) as connection:
        for setting in ("autovacuum = off", "fsync = off"):
            connection.execute(f"ALTER SYSTEM SET {setting}".encode())
        connection.execute("SELECT pg_reload_conf()")
    if has_database(server, TEMPLATE):
        return
    draft = f"{TEMPLATE}_{secrets.token_hex(4)}"
    make_database(server, draft)
    settings = settings_for(with_database(server, draft), _NOWHERE)
    migrate(settings)
    app, text = create_app(settings, timeouts=PATIENT), CATALOGUE.read_text()
    with app.app_context():
        run_in_transaction(
            lambda connection: catalogues.insert_version(
                connection, text, catalogue_digest(text), START
            )
        )
        db.engine.dispose()
    rename_database(server, draft, TEMPLATE)
