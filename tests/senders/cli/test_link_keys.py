"""`flask keys link-key`: issue, list and revoke what senders make links with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from preference_center.core.links.offline import LinkMinter
from preference_center.infra.db.transactions import run_in_transaction
from tests.clock import START
from tests.in_force import CATALOGUE, put_in_force

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

HOSTED = CATALOGUE.replace('name = "Acme"', 'name = "Acme"\nhost = "choices.acme.example"')


@pytest.fixture
def in_force(app: Flask) -> Flask:
    put_in_force(app, HOSTED)
    return app


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["keys", *words])


def rows(app: Flask, query: str) -> list[tuple[Any, ...]]:
    with app.app_context():
        return run_in_transaction(lambda connection: connection.execute(query.encode()).fetchall())


def test_a_key_of_a_brand_makes_links_for_its_topics_at_its_host(in_force: Flask) -> None:
    result = flask(in_force, "link-key", "shop", "--brand", "acme", "--topic", "all_marketing")

    assert result.exit_code == 0
    assert "is not shown again" in result.stderr
    minter = LinkMinter(result.stdout)
    assert set(minter.topics) == {"all_marketing", "acme.news", "acme.offers", "acme.sms"}
    assert "acme.old" not in minter.topics  # retired
    url = minter.unsubscribe_url("ada@example.com", "acme.offers")
    assert url.startswith("https://choices.acme.example/u/~")
    url = minter.unsubscribe_url("ada@example.com", "all_marketing")
    assert url.startswith("https://preferences.example.com/u/~")
    url = minter.preferences_url("+393331234567", "acme.sms")
    assert url.startswith("https://choices.acme.example/p/~")


def test_the_list_and_the_audit_name_keys_and_never_a_secret(in_force: Flask) -> None:
    text = flask(in_force, "link-key", "shop", "--topic", "acme.news").stdout.strip()
    assert "is revoked" in flask(in_force, "revoke-link-key", "shop").output
    assert "was revoked before" in flask(in_force, "revoke-link-key", "shop").output

    listed = flask(in_force, "link-keys").stdout
    assert "shop\t~" in listed
    assert "revoked 2026-" in listed
    stored = repr(rows(in_force, "SELECT * FROM link_key")) + listed
    assert text.split(".")[2] not in stored
    assert rows(in_force, "SELECT at, action, detail->>'name' FROM audit ORDER BY id") == [
        (START, "link_key.created", "shop"),
        (START, "link_key.revoked", "shop"),
    ]


def test_two_senders_have_nothing_in_common(in_force: Flask) -> None:
    first, second = (
        flask(in_force, "link-key", name, "--topic", "acme.news").stdout.split(".")
        for name in ("shop", "blog")
    )
    assert first[1] != second[1]
    assert first[2] != second[2]


@pytest.mark.parametrize(
    "words, expected",
    [
        (["link-key", "shop"], "at least one brand or topic"),
        (["link-key", "shop", "--topic", "acme.offer"], 'did you mean "acme.offers"'),
        (["link-key", "shop", "--brand", "acmee"], 'did you mean "acme"'),
        (["link-key", "Web Shop", "--topic", "acme.news"], "a-z, 0-9 and -"),
        (["revoke-link-key", "shop"], "flask keys link-keys"),
    ],
)
def test_a_wrong_command_names_the_remedy_and_makes_nothing(
    in_force: Flask, words: list[str], expected: str
) -> None:
    result = flask(in_force, *words)

    assert result.exit_code == 1
    assert expected in result.stderr
    assert rows(in_force, "SELECT 1 FROM link_key UNION ALL SELECT 1 FROM audit") == []


def test_a_name_stands_for_one_key_for_ever(in_force: Flask) -> None:
    flask(in_force, "link-key", "shop", "--topic", "acme.news")
    flask(in_force, "revoke-link-key", "shop")
    result = flask(in_force, "link-key", "shop", "--topic", "acme.news")
    assert result.exit_code == 1
    assert "another name" in result.stderr
