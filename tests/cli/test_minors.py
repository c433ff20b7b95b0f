"""`flask minors`, as compliance uses it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.domain.rights.model import RequestKind
from preference_center.rights.minors import contradict
from tests.rights.asking import ask

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

    from tests.clock import Clock

pytestmark = pytest.mark.usefixtures("clock")


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["minors", *words])


@pytest.fixture
def reference(app: Flask, clock: Clock) -> str:
    with app.app_context():
        report = ask(RequestKind.MINOR, text="In my class.", reporter="mum@example.com")
        contradict(report.id)
    clock.advance(timedelta(minutes=1))
    return report.reference


def test_reports_are_listed_with_what_their_holder_says(app: Flask, reference: str) -> None:
    listed = flask(app, "list")
    assert listed.exit_code == 0
    assert reference in listed.stdout
    assert listed.stdout.rstrip().endswith("contradicted")


def test_one_is_shown_without_naming_anybody(app: Flask, reference: str) -> None:
    shown = flask(app, "show", reference)
    assert "The reporter gave an address" in shown.stdout
    for private in ("ada@example.com", "mum@example.com", "In my class"):
        assert private not in shown.stdout
    assert "In my class" in flask(app, "show", reference, "--show-text").stdout


@pytest.mark.parametrize("decision, state", [("confirm", "done"), ("dismiss", "refused")])
def test_each_is_decided_once(app: Flask, reference: str, decision: str, state: str) -> None:
    decided = flask(app, decision, reference)
    assert (decided.exit_code, state in decided.stdout) == (0, True)
    again = flask(app, "dismiss", reference)
    assert (again.exit_code, "closed" in again.stderr) == (1, True)
    assert "No reports." in flask(app, "list").stderr
    assert reference in flask(app, "list", "--all").stdout


def test_other_requests_are_not_decided_here(app: Flask) -> None:
    with app.app_context():
        other = ask(RequestKind.CORRECT)
    refused = flask(app, "confirm", other.reference)
    assert (refused.exit_code, "flask rights show" in refused.stderr) == (2, True)
