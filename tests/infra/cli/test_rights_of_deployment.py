"""`flask db grants` and `flask redis acl` print what an administrator runs."""

from __future__ import annotations

import pytest
from flask import Flask
from psycopg.conninfo import conninfo_to_dict

from preference_center.infra.config import Settings


def invoke(app: Flask, *arguments: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=[*arguments])
    return result.exit_code, result.output


def test_grants_are_one_transaction_for_the_role(app: Flask) -> None:
    code, output = invoke(app, "db", "grants", "--role", 'a"b')
    assert code == 0
    lines = output.splitlines()
    assert (lines[0], lines[-1]) == ("BEGIN;", "COMMIT;")
    assert all(line.endswith('"a""b";') for line in lines[1:-1])
    assert any(line.startswith("GRANT SELECT, INSERT ON delivery, event, ") for line in lines)


def test_the_owner_of_the_tables_is_not_deprived_of_them(app: Flask, settings: Settings) -> None:
    owner = str(conninfo_to_dict(settings.conninfo)["user"])
    code, output = invoke(app, "db", "grants", "--role", owner)
    assert code == 2
    assert "so it owns the tables: name another" in output


def test_the_rule_for_redis_names_keys_channels_and_commands(app: Flask) -> None:
    code, output = invoke(app, "redis", "acl", "--user", "preference_center")
    assert code == 0
    assert output.startswith("ACL SETUSER preference_center resetkeys ~rq:* ")
    assert len(output.splitlines()) == 1
    assert not {"on", "off", "allkeys", "allcommands", "nopass"} & {*output.split()}


@pytest.mark.parametrize("user", ["", "a b", "a\nFLUSHALL"])
def test_a_user_that_would_be_another_command_is_refused(app: Flask, user: str) -> None:
    assert invoke(app, "redis", "acl", "--user", user)[0] == 2
