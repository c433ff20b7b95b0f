"""A spool of the test's own, and a real database that the test takes away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from preference_center.domain.addresses import Channel, parse
from tests.clock import Clock
from tests.environment import with_database
from tests.in_force import put_in_force
from tests.pages.ledger import Ledger

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.spool import Replayed
    from preference_center.spool.replayer import Replayer

ADDRESS = "jane.doe@example.com"
TOPIC = "acme.offers"
PAIR = "List-Unsubscribe=One-Click"

MakeToken = Callable[..., str]
Replay = Callable[[], "Replayed"]


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
        self._alter(begin)
        try:
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
def database(app: Flask, database_url: str) -> Database:
    return Database(database_url)


@pytest.fixture
def app(app: Flask) -> Flask:
    put_in_force(app)
    return app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def replayer(app: Flask, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replayer]:
    """Has the app spool into `folder`; the test runs it."""
    from preference_center.extensions import NAME
    from preference_center.spool import install, record_or_spool
    from preference_center.spool.replayer import Replayer
    from preference_center.storage.db import outage

    wired = app.extensions[NAME]
    settings = wired.settings.model_copy(update={"spool_dir": str(folder)})
    monkeypatch.setitem(app.extensions, NAME, replace(wired, settings=settings))
    spool = install(app)
    assert spool
    with app.app_context():
        replayer = Replayer(spool, outage.watch())
    yield replayer
    for name in (record_or_spool.NAME, outage.NAME):
        app.extensions.pop(name, None)


@pytest.fixture
def replay(app: Flask, replayer: Replayer) -> Replay:
    """`replay()`: what the thread of a process does every second."""

    def do() -> Replayed:
        with app.app_context():
            return replayer.run_once()

    return do


@pytest.fixture
def make_token(app: Flask, clock: Clock) -> MakeToken:
    """`make_token(address, scope)`: the token of a link in a mail."""
    from preference_center.extensions import services
    from preference_center.links import Link

    def make(address: str = ADDRESS, scope: str = TOPIC) -> str:
        link = Link(parse(address, Channel.EMAIL), scope, "m-1", clock() - timedelta(days=1))
        with app.app_context():
            return services().links.make(link)

    return make


@pytest.fixture
def token(make_token: MakeToken) -> str:
    return make_token()


@pytest.fixture
def ledger(app: Flask, database_url: str) -> Ledger:
    return Ledger(database_url)
