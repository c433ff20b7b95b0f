"""The database goes back to an older state: each way begins an epoch, and versions go on higher.

No function of the WAL or the control file is asked, since managed databases refuse them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from dev.engines import Engines
from dev.postgres import Postgres, make_database
from dev.processes import wait_until
from preference_center.app.web import create_app
from preference_center.core.errors import StaleWatermark
from preference_center.core.events import EventKind
from preference_center.infra.config import Settings
from preference_center.infra.context import db
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record, watermarks
from preference_center.ledger.history_loss import find_history_loss, remember_in
from preference_center.ledger.watermarks import Watermark
from tests.environment import migrate, settings_for, with_database
from tests.ledger.changes import change


class Other(Postgres):
    name = "postgres-other"


@pytest.fixture
def primary(own_engines: Engines) -> Postgres:
    primary = own_engines.database
    assert isinstance(primary, Postgres)
    return primary


@pytest.fixture
def other(primary: Postgres) -> Iterator[Postgres]:
    """Another server in the same folder, that holds nothing yet."""
    other = Other(primary.folder, primary.account, durable=False)
    yield other
    other.stop()


class Service:
    """The service on `url`, whichever server listens there, and one reader of its feed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.apps: list[Flask] = []
        self.number = 0
        self.connect()

    def connect(self, url: str | None = None) -> None:
        """Like a process that is started, on another server with `url`."""
        settings = self.settings.model_copy(
            update={"database_url": url or self.settings.database_url}
        )
        self.apps.append(create_app(settings))

    def record(self) -> int:
        """Record one more opt-out, and return its version."""
        self.number += 1
        with self.apps[-1].app_context():
            record([change(self.number, EventKind.COMPLAINED)])
            query = "SELECT seq FROM event ORDER BY seq DESC LIMIT 1"
            return int(run_in_transaction(lambda c: c.execute(query).fetchall())[0][0])

    def read(self) -> Watermark:
        """What a reader of the feed holds that has seen everything."""
        with self.apps[-1].app_context():
            return run_in_transaction(watermarks.load_watermark)

    def starts(self, folder: Path) -> None:
        """It goes on from what an earlier process has kept in `folder`."""
        with self.apps[-1].app_context():
            remember_in(folder)

    def has_lost(self) -> bool:
        """Whether the database lacks events, as a process finds before it answers."""
        with self.apps[-1].app_context():
            return find_history_loss(self.read().epoch) is not None

    def can_follow(self, watermark: Watermark) -> bool:
        with self.apps[-1].app_context():
            horizon = run_in_transaction(watermarks.load_horizon)
        try:
            watermarks.ensure_followable(watermark, horizon)
        except StaleWatermark:
            return False
        return True


@pytest.fixture
def service(own_engines: Engines, primary: Postgres) -> Iterator[Service]:
    settings = settings_for(primary.url, own_engines.redis.url)
    migrate(settings)
    service = Service(settings)
    yield service
    for app in service.apps:
        with app.app_context():
            db.engine.dispose()


def restore_dump_elsewhere(service: Service, primary: Postgres, other: Postgres) -> None:
    other.start()
    _restore(primary, other.url)
    service.connect(other.url)


def restore_dump_here(service: Service, primary: Postgres, other: Postgres) -> None:
    """Into the same server: its transaction ids never go back, but versions would."""
    make_database(primary.url, "restored")
    url = with_database(primary.url, "restored")
    _restore(primary, url)
    service.connect(url)


def _restore(primary: Postgres, url: str) -> None:
    program, file = primary.program.sibling("pg_restore"), primary.folder / "dump"
    primary.account.run([program, "-d", url, "--no-owner", file], cwd=primary.folder)


def dump(primary: Postgres) -> None:
    program, file = primary.program.sibling("pg_dump"), primary.folder / "dump"
    file.touch()
    primary.account.give(file)
    primary.account.run([program, "-Fc", "-d", primary.url, "-f", file], cwd=primary.folder)


def copy_of_disk(primary: Postgres) -> None:
    """Taken while the server is stopped: the control file and the WAL are the same afterwards."""
    primary.stop()
    shutil.copytree(primary.data, primary.folder / "image", symlinks=True)
    primary.start()


def restore_disk(service: Service, primary: Postgres, other: Postgres) -> None:
    primary.stop()
    shutil.rmtree(primary.data)
    (primary.folder / "image").rename(primary.data)
    primary.account.give(primary.data)
    primary.start()


def restart(service: Service, primary: Postgres, other: Postgres) -> None:
    """Nothing is lost, but nobody can know that for certain."""
    primary.restart()


@pytest.mark.parametrize(
    "back_up, restore",
    [
        pytest.param(dump, restore_dump_elsewhere, id="dump, another server"),
        pytest.param(dump, restore_dump_here, id="dump, the same server"),
        pytest.param(copy_of_disk, restore_disk, id="copy of the disk"),
        pytest.param(lambda _: None, restart, id="start of the server"),
    ],
)
def test_after_a_restore_readers_start_again_and_versions_are_higher(
    service: Service,
    primary: Postgres,
    other: Postgres,
    back_up: Callable[[Postgres], None],
    restore: Callable[[Service, Postgres, Postgres], None],
    tmp_path: Path,
) -> None:  # I1, I3
    service.record()
    early = service.read()
    assert service.can_follow(early)
    back_up(primary)
    service.record()
    lost, seen = service.record(), service.read()
    service.starts(tmp_path)
    assert not service.has_lost()
    restore(service, primary, other)
    service.starts(tmp_path)
    assert service.record() > lost
    assert service.has_lost() == (restore is not restart)
    assert not service.can_follow(early)
    assert not service.can_follow(seen)
    assert service.can_follow(service.read())


def test_a_standby_that_takes_over_without_the_last_commits(
    service: Service, primary: Postgres, other: Postgres
) -> None:  # I3
    other.follow(primary)
    service.record()
    assert wait_until(lambda: events(other) == 1, 60)
    other.stop()  # it lags from now on
    lost, seen = service.record(), service.read()
    primary.kill()
    other.start()
    other.promote()
    service.connect(other.url)
    assert service.record() > lost
    assert not service.can_follow(seen)


def test_a_recovery_to_a_point_in_time(
    service: Service, primary: Postgres, other: Postgres
) -> None:  # I3
    other.follow(primary)
    other.stop()
    service.record()
    with psycopg.connect(primary.url, autocommit=True) as connection:
        connection.execute("SELECT pg_create_restore_point('before the mistake')")
        connection.execute("SELECT pg_switch_wal()")
    lost, seen = service.record(), service.read()
    (other.data / "standby.signal").rename(other.data / "recovery.signal")
    with (other.data / "postgresql.auto.conf").open("a") as settings:
        settings.write(
            f"restore_command = 'cp {primary.data}/pg_wal/%f %p'\n"
            "recovery_target_name = 'before the mistake'\n"
            "recovery_target_action = 'promote'\n"
            "primary_conninfo = ''\n"
        )
    other.start()
    assert wait_until(lambda: not recovering(other), 60)
    service.connect(other.url)
    assert events(other) == 1
    assert service.record() > lost
    assert not service.can_follow(seen)


def events(server: Postgres) -> int:
    return int(_one(server, "SELECT count(*) FROM event"))


def recovering(server: Postgres) -> bool:
    return bool(_one(server, "SELECT pg_is_in_recovery()"))


def _one(server: Postgres, query: str) -> int:
    with psycopg.connect(server.url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row
        return int(row[0])
