"""Engines and databases for a run of tests, shared by all workers of pytest-xdist.

The controller takes a folder; the first worker that needs an engine starts both there, and
the first that needs a database makes a migrated template. Every worker has a copy of it
and a Redis database of its own. The controller stops all of it at the end.

The databases belong to a role as a managed PostgreSQL gives one: no superuser, and without what
Aurora, RDS, Cloud SQL and Azure refuse.
"""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from redis import Redis

from dev.engines import Engines, Foreign, at, for_test
from dev.pgbouncer import PgBouncer
from dev.postgres import USER, Postgres, make_database

if TYPE_CHECKING:  # so that tests of the domain don't wait for Flask
    from preference_center.infra.config import Settings
    from preference_center.infra.db.connections import DatabaseTimeouts

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"

REFUSED_FUNCTIONS = (
    "pg_control_checkpoint",
    "pg_control_init",
    "pg_control_recovery",
    "pg_control_system",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_get_wal_replay_pause_state",
    "pg_is_wal_replay_paused",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_ls_waldir",
    "pg_stat_get_wal",
    "pg_stat_get_wal_receiver",
    "pg_walfile_name",
    "pg_walfile_name_offset",
)
"""What a managed PostgreSQL may refuse.

Aurora: "Function pg_stat_get_wal() is currently not supported for Aurora", and others of the WAL
without logical replication (DataDog/integrations-core#15890 and #20356, ankane/pghero#168).
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """What one worker needs to know of the run it belongs to."""

    engines: Engines
    run: str
    """Begins the name of every database of this run."""
    worker: int
    """0 without pytest-xdist, else counted from 1."""
    pooler: PgBouncer | None
    """What the service connects to instead of PostgreSQL, if TEST_PGBOUNCER asks for it."""

    @classmethod
    def of(cls, config: pytest.Config) -> Environment:
        """Begin a run, or join the one that the controller of pytest-xdist began."""
        given: dict[str, str] | None = getattr(config, "workerinput", None)
        if given is None:
            engines, run, worker = for_test(), f"pc_test_{secrets.token_hex(4)}", 0
        else:
            engines = at(Path(given["engines_folder"]), durable=False)
            run, worker = given["engines_run"], int(given["workerid"].removeprefix("gw")) + 1
        database = engines.database
        if not os.environ.get("TEST_PGBOUNCER"):
            return cls(engines, run, worker, None)
        if not isinstance(database, Postgres):
            pytest.exit("TEST_PGBOUNCER needs a PostgreSQL of our own: unset DATABASE_URL")
        pooler = PgBouncer(engines.folder, database.account, durable=False)
        return cls(engines, run, worker, pooler)

    def tell(self, worker_input: dict[str, str]) -> None:
        """Give a worker what `of` reads."""
        worker_input["engines_folder"] = str(self.engines.folder)
        worker_input["engines_run"] = self.run

    def start(self) -> Engines:
        """Start the engines unless another worker has."""
        with self._alone("starting"):
            for engine in (self.engines.database, self.engines.redis):
                if not engine.running:
                    engine.start()
            if self.pooler and not self.pooler.running:
                assert isinstance(self.engines.database, Postgres)
                server = self.engines.database.state
                self.pooler.point_to(server.port, {USER: server.password, self.run: self.run})
                self.pooler.start()
        return self.engines

    def end(self) -> None:
        """Stop the engines, or clean up on those that aren't ours."""
        if self.pooler:
            self.pooler.stop()
        database = self.engines.database
        if isinstance(database, Foreign):
            drop_databases(database.url, self.run)
            for role in (self.run, self.restricted_role):
                drop_role(database.url, role)
        if isinstance(self.engines.redis, Foreign):
            with Redis.from_url(self.engines.redis.url) as redis:
                redis.acl_deluser(self.restricted_role)
        self.engines.release()

    def service_url(self, url: str) -> str:
        """How the service reaches the database of `url`."""
        return self.pooler.pooled(url) if self.pooler else url

    @property
    def restricted_role(self) -> str:
        """The service's role and Redis user if TEST_RESTRICTED asks for few rights."""
        return f"{self.run}_restricted"

    @property
    def name(self) -> str:
        """The name of this worker's database."""
        return f"{self.run}_{self.worker}"

    @property
    def admin_url(self) -> str:
        """This worker's database, as the superuser: for what an operator or a fault does."""
        return with_database(self.engines.database.url, self.name)

    def database_url(self) -> str:
        """Make this worker's database, with all tables and no rows."""
        template = f"{self.run}_template"
        with self._alone("migrating"):
            if not has_database(self.engines.database.url, template):
                draft = f"{self.run}_draft"
                url = self.make_database(draft)
                migrate(settings_for(self.service_url(url), self.redis_url()))
                rename_database(self.engines.database.url, draft, template)
        return self.make_database(self.name, template)

    def make_database(self, name: str, template: str = "template1") -> str:
        """Make a database of the role that the service has, and return its URL."""
        server = self.engines.database.url
        make_managed_role(server, self.run)
        make_database(server, name, template)
        give_database(server, name, self.run)
        return with_role(with_database(server, name), self.run)

    def redis_url(self) -> str:
        """This worker's Redis database. Fails if it is in use on a server that isn't ours."""
        redis = self.engines.redis
        url = with_database(redis.url, str(self.worker))
        if isinstance(redis, Foreign):
            with Redis.from_url(url) as client:
                if client.dbsize():
                    pytest.fail(f"Redis database {self.worker} of REDIS_URL is not empty")
        return url

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        with (self.engines.folder / f"{what}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def settings_for(database_url: str, redis_url: str) -> Settings:
    """Settings with keys made for tests, the same in every process."""
    from preference_center.infra.config import Settings

    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        public_url="https://preferences.example.com",
        secret_key="a secret for tests, known to everybody",
        digest_keys=f"d1:{_key(1)}",
        encryption_keys=f"e1:{_key(2)}",
        link_keys=f"l1:{_key(3)}",
        phone_region="IT",
        time_zone="Europe/Rome",
        spool_dir="none",
        file_drop_root="/",
    )


def patient_timeouts() -> DatabaseTimeouts:
    """For a busy machine, which may take its time; locks are given up when a web process would."""
    from preference_center.infra.db.connections import WEB_TIMEOUTS

    return replace(WEB_TIMEOUTS, total=60, round_trip=60)


@contextmanager
def connecting_within(seconds: int) -> Iterator[None]:
    """Inside, opening a connection to PostgreSQL may take so many seconds."""
    from preference_center.infra.db import connections

    with pytest.MonkeyPatch.context() as patch:
        longer = {**connections.LIBPQ_DEFAULTS, "connect_timeout": seconds}
        patch.setattr(connections, "LIBPQ_DEFAULTS", longer)
        yield


@contextmanager
def link_clicks_within(limits: DatabaseTimeouts) -> Iterator[None]:
    """Inside, a request to a person's link has these limits."""
    from preference_center.recipients.pages import one_click, unsubscribe

    with pytest.MonkeyPatch.context() as patch:
        for module in (one_click, one_click, unsubscribe):
            patch.setattr(module, "LINK_CLICK_TIMEOUTS", limits)
        yield


def migrate(settings: Settings) -> None:
    """Bring the database of `settings` to the newest tables."""
    from preference_center.app.service import create_service
    from preference_center.app.tables import upgrade
    from preference_center.infra.context import db
    from preference_center.infra.db.connections import COMMAND_TIMEOUTS

    app = create_service(settings, timeouts=COMMAND_TIMEOUTS)  # a busy machine may take its time
    with app.app_context():
        upgrade()
        db.engine.dispose()


class Emptying:
    """Deletes every row and key, test after test, over connections that stay open.

    It costs each test a look at every table, since most hold nothing then. DELETE is far
    quicker than TRUNCATE on tables of few rows; as a replica, since triggers rightly forbid
    it on the ledger. The epoch stays: the server is the same.
    """

    def __init__(self, database_url: str, redis_url: str) -> None:
        self._database_url = database_url
        self._redis = Redis.from_url(redis_url)
        self._connection = self._connect()

    def __call__(self) -> None:
        """Delete them. Fails if a test left a transaction open on what it has to delete."""
        try:
            self._delete()
        except psycopg.OperationalError:
            if not self._connection.broken:
                raise
            self._connection = self._connect()  # a test ended the database's connections
            self._delete()
        self._redis.flushdb()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._redis.close()

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(self._database_url, autocommit=True)
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET lock_timeout = '10s'")
        return connection

    def _delete(self) -> None:
        tables = self._names(
            "SELECT format('%I.%I', nspname, relname)"
            " FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind IN ('r', 'p') AND nspname NOT IN ('pg_catalog', 'information_schema')"
            " AND relname NOT IN ('alembic_version', 'epoch') ORDER BY 1"
        )
        filled = self._names(
            " UNION ALL ".join(f"(SELECT '{table}' FROM {table} LIMIT 1)" for table in tables)
        )
        if filled:
            deletes = "; ".join(f"DELETE FROM {table}" for table in filled)
            self._connection.execute(deletes.encode())

    def _names(self, query: str) -> list[str]:
        return [name for (name,) in self._connection.execute(query.encode())]


def empty(database_url: str, redis_url: str) -> None:
    """Delete every row and key, once."""
    with Emptying(database_url, redis_url) as emptying:
        emptying()


def with_database(url: str, name: str) -> str:
    """Return a database's or Redis's address with another database in it."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def with_role(url: str, name: str) -> str:
    """Return a database's address for the role `name`, whose password is its name."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}:{name}@{parts.netloc.rpartition('@')[2]}").geturl()


def make_managed_role(server: str, name: str) -> None:
    """Make the role `name`, which may do nothing but log in, unless it is there.

    Several workers of pytest may ask for the same one at once.
    """
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])  # until it is closed
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None:
            statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Literal(name)))


def give_database(server: str, name: str, role: str) -> None:
    """Make `role` the owner of a database in which nobody but a superuser has REFUSED_FUNCTIONS."""
    with psycopg.connect(with_database(server, name), autocommit=True) as connection:
        statement = sql.SQL("ALTER DATABASE {} OWNER TO {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(role)))
        found = connection.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE proname = ANY(%s)"
            " AND pronamespace = 'pg_catalog'::regnamespace",
            [list(REFUSED_FUNCTIONS)],
        )
        refused = ", ".join(function for (function,) in found)
        connection.execute(f"REVOKE EXECUTE ON FUNCTION {refused} FROM PUBLIC".encode())


def drop_role(server: str, name: str) -> None:
    """Drop the role `name`, which owns nothing any more."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def has_database(url: str, name: str) -> bool:
    """Whether the server of `url` has the database `name`."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        return found.fetchone() is not None


def rename_database(url: str, old: str, new: str) -> None:
    """Rename a database that nobody is connected to."""
    statement = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [old]
        )  # a pooler's
        connection.execute(statement.format(sql.Identifier(old), sql.Identifier(new)))


def drop_databases(url: str, prefix: str) -> None:
    """Drop every database whose name begins with `prefix`."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix]
        )
        for (name,) in found.fetchall():
            statement = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(statement.format(sql.Identifier(name)))


def _key(number: int) -> str:
    return base64.urlsafe_b64encode(bytes([number]) * 32).decode().rstrip("=")
