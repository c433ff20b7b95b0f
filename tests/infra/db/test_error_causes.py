"""An error of the database names its cause: to operators with its words, to clients without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import psycopg
import pytest

from preference_center.app.web import create_app
from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra.commands import click_errors
from preference_center.infra.config import Settings
from preference_center.infra.db.error_causes import classify_error, unavailable_error
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.store import lookup
from tests.environment import patient_timeouts, with_database, with_role
from tests.in_force import put_in_force
from tests.web.api.sender import make_sender

if TYPE_CHECKING:
    from flask import Flask

REFUSED = "SELECT pg_current_wal_lsn()"
"""What a managed database refuses, and that of the tests does (tests/environment.py)."""
WORDS = "42501: permission denied for function pg_current_wal_lsn"


def refused(connection: Connection) -> None:
    connection.execute(REFUSED)


def test_a_refused_function_is_named_with_the_words_of_the_server(in_context: None) -> None:
    with pytest.raises(Unavailable, match="refuses what the service needs") as error:
        run_in_transaction(refused)
    assert error.value.log_fields == {"cause": "refused", "reason": WORDS}


def test_a_command_states_them(in_context: None) -> None:
    with pytest.raises(
        click.ClickException, match=r"refuses what the service needs \(42501: permission"
    ):
        _command()


def _command() -> None:
    with click_errors():
        run_in_transaction(refused)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda url: with_role(url, "nobody"), id="role"),
        pytest.param(lambda url: url.replace("@", "wrong@"), id="password"),
        pytest.param(lambda url: with_database(url, "none"), id="database"),
    ],
)
def test_a_refused_log_in_is_not_taken_for_an_absent_server(
    app: Flask, database_url: str, settings: Settings, change: object
) -> None:
    assert callable(change)
    url = change(database_url)
    changed = settings.model_copy(update={"database_url": url})
    other = create_app(changed, timeouts=patient_timeouts())
    with other.app_context(), pytest.raises(Unavailable) as error:
        run_in_transaction(refused)
    assert error.value.cause is UnavailableCause.REFUSED
    assert "FATAL" in error.value.reason


def test_nobody_listening_is_an_absent_server(app: Flask, settings: Settings) -> None:
    url = "postgresql://somebody@127.0.0.1:1/none"
    changed = settings.model_copy(update={"database_url": url})
    other = create_app(changed, timeouts=patient_timeouts())
    with other.app_context(), pytest.raises(Unavailable) as error:
        run_in_transaction(refused)
    assert error.value.log_fields == {"cause": "unreachable"}


def test_a_message_that_may_quote_data_is_not_repeated() -> None:  # I12
    """PostgreSQL quotes the value that it can't read."""
    error = psycopg.errors.QueryCanceled("jane@example.org")
    cause = classify_error(error)
    assert cause
    assert "jane" not in str(unavailable_error(cause, error).log_fields)
    assert classify_error(psycopg.errors.InvalidTextRepresentation("jane@example.org")) is None


def test_a_client_reads_the_cause_and_no_detail(
    app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_in_force(app)
    sender = make_sender(app)
    monkeypatch.setattr(lookup, "run_autocommit", lambda *_, **__: run_in_transaction(refused))
    body = {"recipient": "jo@example.com", "message_type": "offers.weekly", "channel": "email"}
    answer = sender.post("/v1/decisions", body)
    assert answer.status_code == 503
    assert answer.get_json()["detail"] == "the database refuses what the service needs"
    assert WORDS in capsys.readouterr().err
