from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from preference_center.core.errors import KeyMismatch, Unavailable
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys import fingerprints
from preference_center.infra.keys.fingerprints import (
    require_known_keys,
    require_known_keys_before_requests,
)
from tests.environment import patient_timeouts

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.infra.config import Settings


@contextmanager
def app_with(settings: Settings, **changed: str) -> Iterator[Flask]:
    """Another process on the same database, with other keys."""
    from preference_center.app.web import create_app
    from preference_center.infra.context import db

    app = create_app(settings.model_copy(update=changed), timeouts=patient_timeouts())
    with app.app_context():
        yield app
        db.engine.dispose()


def new_key(key_id: str, number: int = 9) -> str:
    return f"{key_id}:{base64.urlsafe_b64encode(bytes([number]) * 32).decode()}"


def stored() -> set[str]:
    return run_in_transaction(
        lambda c: {row[0] for row in c.execute("SELECT key FROM key_fingerprint")}
    )


@pytest.fixture
def in_use(app: Flask) -> Settings:
    """Settings with which the database is in use already."""
    with app.app_context():
        require_known_keys()
        return services().settings


def test_the_first_start_stores_the_fingerprints_and_the_next_accepts_them(
    in_use: Settings,
) -> None:
    with app_with(in_use):
        assert stored() == {"canonical-forms", "digest:d1", "encryption:e1"}
        require_known_keys()


def test_another_digest_key_is_refused(in_use: Settings) -> None:
    with (
        app_with(in_use, digest_keys=new_key("d1")),
        pytest.raises(KeyMismatch, match="not the one"),
    ):
        require_known_keys()


def test_an_additional_digest_key_waits_since_no_stored_digest_has_it(
    app: Flask, in_use: Settings
) -> None:
    # I9, I11: with it no stored opt-out would be found, and everybody allowed again
    with app.app_context():
        digest = services().keys.digest("jane@example.org")
    longer = f"{in_use.digest_keys},{new_key('d2')}"
    with app_with(in_use, digest_keys=longer):
        require_known_keys()
        assert "digest:d2" not in stored()
        assert services().keys.is_digest_key_waiting
        assert services().keys.digest("jane@example.org") == digest


def test_the_fingerprint_of_an_additional_encryption_key_is_stored(in_use: Settings) -> None:
    longer = f"{new_key('e2')},{in_use.encryption_keys}"
    with app_with(in_use, encryption_keys=longer):
        require_known_keys()
        assert "encryption:e2" in stored()


def test_an_opt_out_by_command_is_refused_with_another_digest_key(in_use: Settings) -> None:
    # I1: it would be stored under a digest that no check looks up
    with app_with(in_use, digest_keys=new_key("d1")) as other:
        result = other.test_cli_runner().invoke(
            args=["opt-out", "--via", "phone"], input="ada@example.com\n"
        )
        assert result.exit_code == 1
        assert "DIGEST_KEYS" in result.output
        assert run_in_transaction(lambda c: c.execute("SELECT count(*) FROM event").fetchone()) == (
            0,
        )


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A database that can't be reached, until this is undone."""
    with monkeypatch.context() as context:
        context.setattr(fingerprints, "run_in_transaction", fail_to_reach)
        yield context


def test_a_web_process_that_found_no_database_refuses_everything_with_wrong_keys(
    in_use: Settings, away: pytest.MonkeyPatch
) -> None:
    with app_with(in_use, digest_keys=new_key("d1")) as other:
        require_known_keys_before_requests(other)
        client = other.test_client()
        assert client.get("/healthz").status_code == 503
        away.undo()
        for path in ("/healthz", "/v1/openapi.json", "/u/token"):
            assert client.get(path).status_code == 500


def test_a_web_process_that_found_no_database_checks_until_it_has_succeeded_once(
    in_use: Settings, away: pytest.MonkeyPatch
) -> None:
    with app_with(in_use) as same:
        require_known_keys_before_requests(same)
        client = same.test_client()
        assert client.get("/healthz").status_code == 503
        assert client.get("/livez").status_code == 200
        away.undo()
        assert client.get("/healthz").status_code == 200
        away.setattr(fingerprints, "run_in_transaction", fail_to_reach)
        assert client.get("/healthz").status_code == 200


def test_a_web_process_with_wrong_keys_does_not_start(in_use: Settings) -> None:
    with app_with(in_use, digest_keys=new_key("d1")) as other, pytest.raises(KeyMismatch):
        require_known_keys_before_requests(other)


def fail_to_reach(work: object) -> None:
    raise Unavailable("the database can't be reached")
