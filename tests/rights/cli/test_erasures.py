"""`flask erasures`, as support and operators use it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.erasure import journal
from preference_center.rights.erasure.erase import tidy_erasures
from preference_center.rights.erasure.store import READABLE_FOR
from tests.clock import START, Clock
from tests.core.histories import NEWS
from tests.ledger.changes import add_destination
from tests.rights.erasing import row, rows, store, tables_with

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask


def flask(app: Flask, *words: str, typed: str = "") -> Result:
    return app.test_cli_runner().invoke(args=["erasures", *words], input=typed)


@pytest.fixture
def ada(app: Flask) -> Flask:
    with app.app_context():
        add_destination("crm", NEWS)
        store()
    return app


def add(app: Flask, extent: str = "account") -> str:
    result = flask(app, "add", "--extent", extent, typed="ada@example.com\n")
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def late(app: Flask, clock: Clock) -> None:
    clock.now = START + READABLE_FOR - timedelta(days=1)
    with app.app_context():
        tidy_erasures(clock.now)


def test_an_erasure_is_dated_after_the_address_was_typed(
    ada: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I5: what the person did while the prompt waited is older

    def wait(*_: object, **__: object) -> str:
        clock.now = START + timedelta(minutes=5)
        return "ada@example.com"

    monkeypatch.setattr(click, "prompt", wait)
    add(ada)
    with ada.app_context():
        assert rows("SELECT begun_at FROM erasure") == [(clock.now,)]


def test_a_person_is_erased_and_shown_by_id_only(ada: Flask) -> None:  # I12
    erased = add(ada)
    listed = flask(ada, "list").stdout
    assert listed.split("\t")[0] == erased
    assert "0 of 1 tools" in listed
    shown = flask(ada, "show", erased).stdout
    assert "kept, sealed, for the tools" in shown
    assert "crm: to be suppressed first" in shown
    assert "ada@" not in listed + shown


def test_the_extent_is_for_the_operator_to_choose(ada: Flask) -> None:
    assert flask(ada, "add", typed="ada@example.com\n").exit_code == 2


def test_an_invalid_address_is_named_and_erases_nobody(ada: Flask) -> None:
    result = flask(ada, "add", "--extent", "account", typed="ada\n")
    assert result.exit_code == 2
    with ada.app_context():
        assert rows("SELECT * FROM erasure") == []


def test_an_unknown_erasure_is_said_to_be_one(ada: Flask) -> None:
    result = flask(ada, "show", "01a20cc8-8e80-7c91-b27e-829dd3bd27e7")
    assert result.exit_code == 1
    assert "no such erasure" in result.output


def test_a_task_shows_the_address_only_when_asked_and_records_that(
    ada: Flask, clock: Clock
) -> None:
    erased = add(ada)
    late(ada, clock)
    hidden = flask(ada, "tasks").stdout
    assert erased in hidden
    assert "crm" in hidden
    assert "ada@" not in hidden
    assert "ada@example.com" in flask(ada, "tasks", "--show-address").stdout
    with ada.app_context():
        assert rows("SELECT detail FROM audit WHERE action = 'erasures.addresses_seen'") == [
            ({"erasures": [erased]},)
        ]


def test_an_address_that_was_forgotten_is_said_to_be_one(ada: Flask, clock: Clock) -> None:
    add(ada)
    clock.now = START + READABLE_FOR
    with ada.app_context():
        tidy_erasures(clock.now)
    assert "forgotten after 30 days" in flask(ada, "tasks", "--show-address").stdout


def test_the_last_task_that_is_done_forgets_the_address(ada: Flask, clock: Clock) -> None:
    erased = add(ada)
    late(ada, clock)
    result = flask(ada, "done", erased, "crm", "--by", "support, desk 2")
    assert "nothing is left to do" in result.stdout
    assert "by hand, by support, desk 2" in flask(ada, "show", erased).stdout
    with ada.app_context():
        assert tables_with("ada@example.com") == set()
        assert row("SELECT finished_at FROM erasure") == (clock.now,)
    again = flask(ada, "done", erased, "crm", "--by", "support, desk 2")
    assert again.exit_code == 1
    assert "no open task" in again.output


def test_a_missing_journal_is_warned_about(ada: Flask) -> None:
    assert "ERASURE_JOURNAL is not set" in flask(ada, "list").stderr
    assert "ERASURE_JOURNAL" in flask(ada, "replay").output


@pytest.fixture
def journaled(ada: Flask, tmp_path: Path) -> Iterator[Flask]:
    """With an empty folder for the journal."""
    wired = ada.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"erasure_journal": str(tmp_path)})
    ada.extensions[EXTENSION_NAME] = replace(wired, settings=settings)
    yield ada
    ada.extensions[EXTENSION_NAME] = wired
    ada.extensions.pop(journal.EXTENSION_KEY, None)


def test_a_replay_tells_that_nothing_is_missing(journaled: Flask, tmp_path: Path) -> None:
    assert "with 0 erasures of before" in flask(journaled, "start-journal", "--yes").stdout
    add(journaled)
    assert "Warning" not in flask(journaled, "list").stderr
    said = flask(journaled, "replay").stdout
    assert "No erasure was missing" in said
    assert f"the whole journal in {tmp_path}, to file 1" in said


def test_a_replay_counts_what_was_missing(journaled: Flask) -> None:
    flask(journaled, "start-journal", "--yes")
    add(journaled)
    with journaled.app_context():
        run_in_transaction(lambda c: c.execute("UPDATE erasure_journal SET head = NULL"))
        run_in_transaction(lambda c: c.execute("DELETE FROM erasure"))
    assert "Warning: this database does not know" in flask(journaled, "list").stderr
    assert "1 erasures replayed" in flask(journaled, "replay").stdout


def test_a_replay_never_claims_a_journal_that_is_not_there(
    journaled: Flask, tmp_path: Path
) -> None:  # I6
    flask(journaled, "start-journal", "--yes")
    add(journaled)
    for path in tmp_path.iterdir():
        path.unlink()
    result = flask(journaled, "replay")
    assert result.exit_code == 1
    assert "whole journal" not in result.output
    assert "mount the right folder" in result.output


def test_a_journal_is_not_begun_over_another(journaled: Flask) -> None:
    flask(journaled, "start-journal", "--yes")
    result = flask(journaled, "start-journal", "--yes")
    assert result.exit_code == 1
    assert "there is a journal already" in result.output


def test_a_journal_that_was_lost_begins_again_with_every_erasure(
    journaled: Flask, tmp_path: Path
) -> None:
    flask(journaled, "start-journal", "--yes")
    add(journaled)
    for path in tmp_path.iterdir():
        path.unlink()
    assert "with 1 erasures of before" in flask(journaled, "start-journal", "--yes").stdout
    assert "to file 1" in flask(journaled, "replay").stdout
