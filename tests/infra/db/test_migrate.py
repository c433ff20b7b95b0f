"""A migration that meets an open transaction: it waits, and requests behind it do not."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import click
import psycopg
import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade

from dev.processes import wait_until
from preference_center.app.tables import install_migrations
from preference_center.app.web import create_app
from preference_center.infra.context import db
from preference_center.infra.db import migrate
from preference_center.infra.db.connections import COMMAND_TIMEOUTS
from tests.environment import MIGRATIONS, Environment, settings_for, with_database

HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()
LOCKED = "pending_mail_opt_out"
"""A table that the next migration alters."""
NEXT_MIGRATION = f"""
from alembic import op

revision, down_revision = "next", "{HEAD}"


def upgrade():
    op.execute("ALTER TABLE {LOCKED} ADD COLUMN added int")


def downgrade():
    op.execute("ALTER TABLE {LOCKED} DROP COLUMN added")
"""


@pytest.fixture
def migrations(tmp_path: Path) -> str:
    """The folder of our migrations, and one more."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    (folder / "versions" / "next.py").write_text(NEXT_MIGRATION)
    return str(folder)


@pytest.fixture
def app(
    environment: Environment, admin_url: str, redis_url: str, migrations: str
) -> Iterator[Flask]:
    """On a database of its own, with the tables of today."""
    name = f"{environment.run}_migrating_{secrets.token_hex(4)}"
    app = create_app(
        settings_for(environment.make_database(name), redis_url), timeouts=COMMAND_TIMEOUTS
    )
    install_migrations(app)
    with app.app_context():
        upgrade(directory=migrations, revision=HEAD)
        yield app
        db.engine.dispose()
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def url(app: Flask) -> str:
    return str(app.extensions["preference_center"].settings.database_url)


def waits(connection: psycopg.Connection) -> bool:
    query = "SELECT FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    return connection.execute(query, (LOCKED,)).fetchone() is not None


def run_migrations(app: Flask, folder: str) -> None:
    with app.app_context():
        upgrade(directory=folder)


def test_requests_behind_a_waiting_migration_are_not_blocked(
    app: Flask, migrations: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", 0.2)
    monkeypatch.setattr(migrate, "RETRY_DELAY", 0.2)
    monkeypatch.setattr(migrate, "MAX_ATTEMPTS", 1000)
    with psycopg.connect(url(app)) as reader, psycopg.connect(url(app), autocommit=True) as other:
        reader.execute(f"SELECT count(*) FROM {LOCKED}".encode())  # like a snapshot
        with ThreadPoolExecutor(1) as pool:
            migration = pool.submit(run_migrations, app, migrations)
            assert wait_until(lambda: waits(other), 30)
            other.execute("SET lock_timeout = '20s'")  # it gives way long before
            other.execute(f"SELECT count(*) FROM {LOCKED}".encode())
            assert not migration.done()
            reader.rollback()
            migration.result(60)
        other.execute(f"SELECT added FROM {LOCKED}".encode())


def test_it_fails_with_instructions_in_the_end(
    app: Flask, migrations: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", 0.1)
    monkeypatch.setattr(migrate, "RETRY_DELAY", 0)
    monkeypatch.setattr(migrate, "MAX_ATTEMPTS", 2)
    with psycopg.connect(url(app)) as reader:
        reader.execute(f"SELECT count(*) FROM {LOCKED}".encode())
        with pytest.raises(click.ClickException, match="pg_terminate_backend"):
            upgrade(directory=migrations)
    upgrade(directory=migrations)


def test_migrations_can_be_downgraded(app: Flask, migrations: str) -> None:
    upgrade(directory=migrations)
    downgrade(directory=migrations, revision="base")
    with psycopg.connect(url(app)) as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        assert {name for (name,) in left} == {"alembic_version", "alembic_version_pkc"}
    upgrade(directory=migrations)


EVENT = UUID(int=1)
INSERTS = (
    """INSERT INTO event (id, address_id, kind, scope, occurred_at, received_at, recorded_at,
        counts_at, source, actor, own, evidence)
    VALUES (%(id)s, 1, 'opted_out', 'news', now(), now(), now(), now(), 's', 'a', true,
        '{"wording": "of the first"}')""",
    """INSERT INTO delivery (destination_id, address_id, version, outcome, ack, at)
    VALUES (1, 1, 1, 'reflected', 'profile-1', now()), (1, 1, 1, 'superseded', 'by 2', now()),
        (1, 1, 1, 'reflected', '', now()),
        (1, 1, 1, 'reflected', 'already opted out in the tool', now()),
        (1, 1, 1, 'absent', 'not in its contact list', now())""",
)
"""Rows of the first schema: evidence in the event, acknowledgements in the delivery."""
OLD_ROWS = (
    "SELECT evidence FROM event",
    "SELECT ack FROM delivery ORDER BY id",
)


def test_evidence_and_acknowledgements_move_and_leave_nothing_in_their_old_place(
    app: Flask, migrations: str, environment: Environment
) -> None:  # I6, I8
    downgrade(directory=migrations, revision="0001")
    with psycopg.connect(url(app)) as connection:
        for statement in INSERTS:
            connection.execute(statement.encode(), {"id": EVENT})
        old = [connection.execute(query.encode()).fetchall() for query in OLD_ROWS]
    upgrade(directory=migrations, revision="0003")
    admin_url = with_database(environment.engines.database.url, url(app).rpartition("/")[2])
    with psycopg.connect(admin_url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pageinspect")
        rows = connection.execute("SELECT * FROM event_evidence").fetchall()
        assert rows == [(EVENT, {"wording": "of the first"})]
        assert connection.execute("SELECT ack FROM delivery_ack").fetchall() == [("profile-1",)]
        assert connection.execute("SELECT note FROM delivery ORDER BY id").fetchall() == [
            ("",),
            ("by 2",),
            ("",),
            ("already opted out in the tool",),
            ("not in its contact list",),
        ]
        pages = connection.execute(
            "SELECT get_raw_page('event', 0), get_raw_page('delivery', 0)"
        ).fetchone()
        assert pages
        assert b"wording" not in pages[0]
        assert b"profile-1" not in pages[1]
    downgrade(directory=migrations, revision="0001")
    with psycopg.connect(url(app)) as connection:
        assert [connection.execute(query.encode()).fetchall() for query in OLD_ROWS] == old
    upgrade(directory=migrations)


def test_a_state_of_a_contact_becomes_its_account_and_its_restriction(
    app: Flask, migrations: str
) -> None:
    states = {"active", "restricted", "deactivated", "erased"}
    downgrade(directory=migrations, revision="0001")
    with psycopg.connect(url(app)) as connection:
        for state in states:
            connection.execute(
                "INSERT INTO contact (id, state, version, created_at, changed_at)"
                " VALUES (gen_random_uuid(), %s, 1, '2026-01-01Z', '2026-02-03Z')",
                (state,),
            )
    upgrade(directory=migrations, revision="0003")
    with psycopg.connect(url(app)) as connection:
        rows = connection.execute("SELECT account, restricted_at::date::text FROM contact")
        assert set(rows) == {
            ("open", None), ("open", "2026-02-03"), ("deactivated", None), ("erased", None),
        }  # fmt: skip
    downgrade(directory=migrations, revision="0001")
    with psycopg.connect(url(app)) as connection:
        assert {state for (state,) in connection.execute("SELECT state FROM contact")} == states


ERASED_ROWS = (
    """INSERT INTO address (id, channel, digest, norm_version, created_at)
    OVERRIDING SYSTEM VALUE
    VALUES (1, 'email', '\\x01', 1, now()), (2, 'email', '\\x02', 1, now())""",
    """INSERT INTO event (id, address_id, kind, scope, occurred_at, received_at, recorded_at,
        counts_at, source, actor, own, evidence_hash)
    SELECT gen_random_uuid(), 1, 'erased', 'all_marketing', at, at, at, at, 's', 'a', false, '\\x00'
    FROM unnest(ARRAY['2026-02-01Z', '2026-04-01Z']::timestamptz[]) AS at""",
    """INSERT INTO consent (address_id, topic, at, event) VALUES
        (1, 'before', '2026-03-01Z', gen_random_uuid()),
        (1, 'after', '2026-05-01Z', gen_random_uuid()),
        (2, 'other', '2026-03-01Z', gen_random_uuid())""",
    """INSERT INTO suppression (address_id, scope, lift_at, lift_event, frequency_at,
        frequency_rank, frequency_event, frequency, own)
    VALUES (1, 'before', NULL, NULL, '2026-03-01Z', 0, gen_random_uuid(), 'weekly', false),
        (1, 'lifted', '2026-03-01Z', gen_random_uuid(), '2026-03-01Z', 0, gen_random_uuid(),
            'weekly', false),
        (1, 'after', NULL, NULL, '2026-05-01Z', 0, gen_random_uuid(), 'weekly', false)""",
)
"""Somebody who was erased twice, came back twice, and had what was erased again."""


def test_what_came_back_with_an_erased_person_is_forgotten(app: Flask, migrations: str) -> None:
    downgrade(directory=migrations, revision="0016")  # I6
    with psycopg.connect(url(app)) as connection:
        for statement in ERASED_ROWS:
            connection.execute(statement.encode())
    upgrade(directory=migrations, revision="0017")
    with psycopg.connect(url(app)) as connection:
        times = "SELECT (last_erased_at AT TIME ZONE 'UTC')::date::text FROM address ORDER BY id"
        assert connection.execute(times.encode()).fetchall() == [("2026-04-01",), (None,)]
        topics = connection.execute("SELECT topic FROM consent ORDER BY topic").fetchall()
        assert topics == [("after",), ("other",)]
        frequencies = connection.execute("SELECT scope, frequency FROM suppression ORDER BY scope")
        assert frequencies.fetchall() == [("after", "weekly"), ("lifted", None)]


def test_a_database_with_a_journal_knows_no_head_of_it_after_the_upgrade(
    app: Flask, migrations: str
) -> None:
    """So that it is closed until the journal was replayed, and then goes on from it (I6)."""
    downgrade(directory=migrations, revision="0017")
    with psycopg.connect(url(app)) as connection:
        connection.execute("INSERT INTO erasure_journal (id, last_entry) VALUES (1, 7)")
    upgrade(directory=migrations, revision="0018")
    with psycopg.connect(url(app)) as connection:
        query = "SELECT last_entry, last_file, head FROM erasure_journal"
        assert connection.execute(query).fetchall() == [(7, None, None)]
    downgrade(directory=migrations, revision="0017")
    with psycopg.connect(url(app)) as connection:
        assert connection.execute("SELECT * FROM erasure_journal").fetchall() == [(1, 7, None)]


def test_answers_that_were_digests_of_addresses_are_forgotten(
    app: Flask, migrations: str
) -> None:  # I6
    downgrade(directory=migrations, revision="0018")
    acks = ["msg_3Jv0m0tPp4T0uH3g7sYb1kQe 204", "200", "msg_of_a_tool"]
    with psycopg.connect(url(app)) as connection:
        for number, ack in enumerate(acks, start=1):
            connection.execute("INSERT INTO delivery_ack VALUES (%s, %s)", (number, ack))
            connection.execute(
                "INSERT INTO erasure_task (erasure_id, destination_id, destination, ack)"
                " VALUES (gen_random_uuid(), %s, 'shop', %s)",
                (number, ack),
            )
    upgrade(directory=migrations, revision="0019")
    with psycopg.connect(url(app)) as connection:
        left = connection.execute("SELECT ack FROM erasure_task ORDER BY destination_id").fetchall()
        assert left == [("204",), ("200",), ("msg_of_a_tool",)]
        kept = connection.execute("SELECT ack FROM delivery_ack ORDER BY 1").fetchall()
        assert kept == [("200",), ("msg_of_a_tool",)]
