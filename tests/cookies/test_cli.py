"""`flask cookies counts`, as compliance uses it."""

# ruff: noqa: F401 - a fixture of another folder is imported by name

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center.cookies.rules import ConsentMethod
from preference_center.cookies.store import insert_consent
from preference_center.infra.db.transactions import run_in_transaction
from tests.cookies.test_browser_consents import FIRST
from tests.infra.cli.fixtures import _staff_name

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

DAY = f"{FIRST.decided_at:%Y-%m-%d}"
HEADER = "site,day,category,method,outcome,count\n"


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["cookies", "counts", *words])


@pytest.fixture
def counted(app: Flask) -> Flask:
    """Twelve browsers accepted, and one chose."""
    with app.app_context():
        for number in range(13):
            method = ConsentMethod.CHOOSE if number == 12 else ConsentMethod.ACCEPT
            each = replace(FIRST, id=UUID(int=number), method=method)
            run_in_transaction(lambda connection, each=each: insert_consent(connection, each))  # type: ignore[misc]
    return app


def test_counts_are_csv_with_small_ones_merged(counted: Flask) -> None:
    expected = f"{HEADER}shop,{DAY},advertising,other,other,13\n"
    assert flask(counted).stdout == expected
    assert flask(counted, "--site", "shop", "--from", DAY, "--to", DAY).stdout == expected


def test_or_json(counted: Flask) -> None:
    [found] = json.loads(flask(counted, "--format", "json").stdout)
    assert (found["site"], found["count"]) == ("shop", 13)


def test_other_days_and_sites_have_none(counted: Flask) -> None:
    assert flask(counted, "--to", "2020-01-01").stdout == HEADER
    found = flask(counted, "--site", "shopp")
    assert found.stdout == HEADER
    assert "The catalogue has no site shopp" in found.stderr


def test_wrong_arguments_say_what_to_fix(app: Flask) -> None:
    found = flask(app, "--from", "2026-02-01", "--to", "2026-01-01")
    assert found.exit_code == 2
    assert "swap the two" in found.stderr
    assert flask(app, "--from", "yesterday").exit_code == 2
