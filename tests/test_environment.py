"""The fixtures that other tests stand on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from redis import Redis

from tests.clock import START, Clock
from tests.environment import REFUSED_FUNCTIONS, Environment, empty

if TYPE_CHECKING:
    from flask import Flask


def test_clean_empties_even_tables_that_forbid_it(
    database_url: str, admin_url: str, redis_url: str, clean: None
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE ledger_like (id int)")
        connection.execute(
            "CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'only grows'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER forbid BEFORE DELETE ON ledger_like"
            " FOR EACH STATEMENT EXECUTE FUNCTION forbid()"
        )
        connection.execute("INSERT INTO ledger_like VALUES (1)")
    with Redis.from_url(redis_url) as client:
        client.set("key", "value")
        with psycopg.connect(database_url) as connection:
            with pytest.raises(psycopg.errors.RaiseException), connection.transaction():
                connection.execute("DELETE FROM ledger_like")
            connection.commit()
            empty(admin_url, redis_url)
            count = connection.execute("SELECT count(*) FROM ledger_like").fetchone()
            connection.execute("DROP TABLE ledger_like; DROP FUNCTION forbid")
        assert count == (0,)
        assert client.dbsize() == 0


def test_the_service_has_a_role_as_a_managed_database_gives_one(database_url: str) -> None:
    """So whatever such a database refuses fails in the test that needs it."""
    refused = """SELECT proname FROM pg_proc WHERE proname = ANY(%s)
        AND pronamespace = 'pg_catalog'::regnamespace AND has_function_privilege(oid, 'EXECUTE')"""
    memberships = "SELECT FROM pg_auth_members WHERE member = current_user::regrole"
    attributes = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication FROM pg_roles"
    with psycopg.connect(database_url) as connection:
        assert connection.execute(refused, [list(REFUSED_FUNCTIONS)]).fetchall() == []
        assert connection.execute(memberships).fetchall() == []
        role = connection.execute(f"{attributes} WHERE rolname = current_user".encode())
        assert role.fetchall() == [(False, False, False, False)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT pg_current_wal_lsn()")


def test_each_worker_has_a_database_of_its_own(
    database_url: str, redis_url: str, environment: Environment
) -> None:
    assert database_url.endswith(f"{environment.run}_{environment.worker}")
    assert redis_url.endswith(f"/{environment.worker}")


def test_the_clock_moves_when_set_and_the_app_goes_by_it(app: Flask, clock: Clock) -> None:
    from preference_center.infra.context import services

    assert clock() == START
    clock.advance(timedelta(hours=70))
    with app.app_context():
        assert services().now() == START + timedelta(hours=70)


def test_the_clock_begins_anew(clock: Clock) -> None:
    assert clock() == START
