"""A spool of the test's own, and a real database that the test takes away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from preference_center.core.addresses import Channel, parse_address
from tests.clock import Clock
from tests.environment import with_database
from tests.in_force import put_in_force
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.ledger.spool import ReplayStats
    from preference_center.ledger.spool.replayer import SpoolReplayer

ADDRESS = "jane.doe@example.com"
TOPIC = "acme.offers"
PAIR = "List-Unsubscribe=One-Click"

MakeToken = Callable[..., str]
Replay = Callable[[], "ReplayStats"]


@dataclass(frozen=True, slots=True)
class Database:
    """The app's database, as its operator sees it."""

    url: str

    @contextmanager
    def away(self) -> Iterator[None]:
        """Inside, the server accepts no connection to it, and those there were are ended."""
        with self._altered("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true"):
            yield

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Inside, it refuses to write."""
        setting = "SET default_transaction_read_only"
        with self._altered(f"{setting} = on", f"{setting} = off"):
            yield

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Inside, another transaction holds every row of addresses."""
        with psycopg.connect(self.url) as connection:
            connection.execute("SELECT FROM address FOR UPDATE")
            yield

    @contextmanager
    def _altered(self, begin: str, end: str) -> Iterator[None]:
        try:
            self._alter(begin)
            yield
        finally:
            self._alter(end)

    def _alter(self, what: str) -> None:
        name = urlsplit(self.url).path.removeprefix("/")
        with psycopg.connect(with_database(self.url, "postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} {}").format(
                    sql.Identifier(name),
                    sql.SQL(what),
                )
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                (name,),
            )


@pytest.fixture
def database(app: Flask, admin_url: str) -> Database:
    return Database(admin_url)


@pytest.fixture
def app(app: Flask) -> Flask:
    put_in_force(app)
    return app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def set_folder(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`set_folder(path)` sets SPOOL_DIR for this test."""
    from preference_center.infra.context import EXTENSION_NAME

    def do(spool_dir: str) -> None:
        wired = app.extensions[EXTENSION_NAME]
        settings = wired.settings.model_copy(update={"spool_dir": spool_dir})
        monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(wired, settings=settings))

    return do


@pytest.fixture
def replayer(
    app: Flask, folder: Path, set_folder: Callable[[str], None]
) -> Iterator[SpoolReplayer]:
    """Has the app spool into `folder`; the test runs it."""
    set_folder(str(folder))
    with spooling(app) as replayer:
        yield replayer


@contextmanager
def spooling(app: Flask) -> Iterator[SpoolReplayer]:
    """Has the app spool where its settings say, while its database is away."""
    from preference_center.infra.context import services
    from preference_center.infra.db import connections
    from preference_center.ledger.spool import host_time, install_spool, recorder
    from preference_center.ledger.spool import replayer as module

    spool = install_spool(app)
    assert spool
    with app.app_context():
        later = count(0.0, 60.0).__next__  # whatever waits is due at each look
        replayer = module.SpoolReplayer(spool, connections.track_outages(), later)
    with pytest.MonkeyPatch.context() as patch:
        patient = replace(module.PROBE_LIMITS, statement=60, total=60, round_trip=60)
        patch.setattr(module, "PROBE_LIMITS", patient)  # a machine may be busy
        # All clocks are the test's.
        patch.setattr(host_time, "load_database_time", lambda: services().now())
        patch.setattr(host_time, "read_boot_clock", lambda: ("", timedelta(0)))
        yield replayer
    for name in (recorder.EXTENSION_KEY, connections.EXTENSION_NAME):
        app.extensions.pop(name, None)


@pytest.fixture
def replay(app: Flask, replayer: SpoolReplayer) -> Replay:
    """`replay()`: what the thread of a process does every second."""

    def do() -> ReplayStats:
        with app.app_context():
            return replayer.run_once()

    return do


@pytest.fixture
def make_token(app: Flask, clock: Clock) -> MakeToken:
    """`make_token(address, scope)`: the token of a link in a mail."""
    from preference_center.core.links.tokens import Link
    from preference_center.infra.context import services

    def make(address: str = ADDRESS, scope: str = TOPIC) -> str:
        link = Link(
            parse_address(address, Channel.EMAIL), scope, "m-1", clock() - timedelta(days=1)
        )
        with app.app_context():
            return services().links.create_token(link)

    return make


@pytest.fixture
def token(make_token: MakeToken) -> str:
    return make_token()


@pytest.fixture
def ledger(app: Flask, database_url: str) -> Ledger:
    return Ledger(database_url)
