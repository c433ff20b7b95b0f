from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import keys
from tests.clock import START
from tests.in_force import put_in_force

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask


@pytest.fixture
def in_force(app: Flask) -> Flask:
    put_in_force(app)
    return app


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["keys", *words])


def rows(app: Flask, query: str) -> list[tuple[Any, ...]]:
    with app.app_context():
        return run_in_transaction(lambda connection: connection.execute(query.encode()).fetchall())


def test_add_prints_a_key_once_that_works(in_force: Flask) -> None:
    result = flask(in_force, "add", "shop", "--scope", "check", "--message-type", "invoice")

    assert result.exit_code == 0
    text = result.stdout.strip()
    assert "can't be shown again" in result.stderr
    with in_force.app_context():
        key = keys.find_key(text)
    assert key is not None
    assert key.name == "shop"
    assert sorted(key.scopes) == ["check"]
    assert sorted(key.message_types) == ["invoice"]
    assert text not in flask(in_force, "list").output


def test_every_key_made_and_revoked_is_in_the_audit(in_force: Flask) -> None:
    flask(in_force, "add", "shop", "--scope", "write")
    flask(in_force, "revoke", "shop")

    assert rows(in_force, "SELECT at, actor, action, detail->>'name' FROM audit ORDER BY id") == [
        (START, "cli:grace", "api_key.created", "shop"),
        (START, "cli:grace", "api_key.revoked", "shop"),
    ]


def test_list_shows_what_each_key_may_do(in_force: Flask) -> None:
    flask(in_force, "add", "shop", "--scope", "write", "--scope", "links")
    flask(in_force, "add", "old", "--scope", "check", "--message-type", "*")
    flask(in_force, "revoke", "old")

    assert flask(in_force, "list").stdout.splitlines() == [
        "old\trevoked 2026-11-24\tcheck\t*\tcreated 2026-11-24\tnever used",
        "shop\tactive\tlinks,write\t-\tcreated 2026-11-24\tnever used",
    ]


def test_a_key_may_have_a_rate_of_its_own(in_force: Flask) -> None:
    flask(in_force, "add", "slow", "--scope", "write", "--rate", " 60  per minute ")
    flask(in_force, "add", "free", "--scope", "write", "--rate", "none")

    assert [line.split("\t")[6] for line in flask(in_force, "list").stdout.splitlines()] == [
        "none",
        "60 per minute",
    ]
    audited = rows(in_force, "SELECT detail->>'rate' FROM audit ORDER BY id")
    assert audited == [("60 per minute",), ("none",)]


def test_list_shows_how_to_create_the_first(in_force: Flask) -> None:
    result = flask(in_force, "list")

    assert result.exit_code == 0
    assert "flask keys add" in result.stderr


def test_revoke_ends_a_key_and_may_be_repeated(in_force: Flask) -> None:
    text = flask(in_force, "add", "shop", "--scope", "write").stdout.strip()

    assert "is revoked" in flask(in_force, "revoke", "shop").output
    again = flask(in_force, "revoke", "shop")

    assert again.exit_code == 0
    assert "was revoked before" in again.output
    with in_force.app_context():
        assert keys.find_key(text) is None


@pytest.mark.parametrize(
    "words, exit_code, expected",
    [
        (["add"], 2, "Missing argument 'NAME'"),
        (["add", "shop"], 2, "Missing option '--scope'"),
        (["add", "shop", "--scope", "chek"], 2, "'check', 'catalogue', 'read', 'write', 'lift'"),
        (["add", "shop", "--scope", "check"], 1, "at least one message type"),
        (["add", "Web Shop", "--scope", "write"], 1, "a-z, 0-9 and -"),
        (
            ["add", "shop", "--scope", "check", "--message-type", "invioce"],
            1,
            'did you mean "invoice"',
        ),
        (["add", "shop", "--scope", "write", "--rate", "often"], 1, "6000 per minute"),
        (["revoke", "shop"], 1, "flask keys list"),
    ],
)
def test_a_wrong_command_names_the_remedy_and_makes_nothing(
    in_force: Flask, words: list[str], exit_code: int, expected: str
) -> None:
    result = flask(in_force, *words)

    assert result.exit_code == exit_code
    assert expected in result.stderr
    assert rows(in_force, "SELECT 1 FROM api_key UNION ALL SELECT 1 FROM audit") == []


def test_a_name_stands_for_one_key_for_ever(in_force: Flask) -> None:
    flask(in_force, "add", "shop", "--scope", "write")
    flask(in_force, "revoke", "shop")

    result = flask(in_force, "add", "shop", "--scope", "write")

    assert result.exit_code == 1
    assert "another name" in result.stderr


def test_what_generate_prints_can_be_read_as_rings(app: Flask) -> None:
    from preference_center.core.key_rings import parse_ring
    from preference_center.core.keys import Keys

    result = flask(app, "generate", "--id", "2027")
    printed = dict(line.split("=", 1) for line in result.stdout.splitlines())

    keys = Keys(parse_ring(printed["DIGEST_KEYS"]), parse_ring(printed["ENCRYPTION_KEYS"]))
    assert len(parse_ring(printed["LINK_KEYS"])) == 1
    assert (keys.digest_id, keys.encryption_id) == ("2027", "2027")


@pytest.mark.parametrize("command", ["add", "list", "revoke", "generate"])
def test_help_teaches(app: Flask, command: str) -> None:
    result = flask(app, command, "--help")

    assert result.exit_code == 0
    assert "Usage:" in result.output
