"""`flask contacts`, as support uses it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from preference_center import contacts
from preference_center.context import services
from preference_center.domain.addresses import Channel, parse_address
from preference_center.domain.contacts import ContactUpdate
from preference_center.domain.sender_requests import RequestOrigin
from preference_center.domain.staff_access import AccessAction, AccessReason
from preference_center.storage.access.person_access import list_person_accesses
from preference_center.storage.db.database import run_in_transaction
from tests.clock import START, Clock

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

SHOW = ("show", "--reason", "called")
REOPEN = ("--source", "shop", "--wording", "Open it", "--language", "en", "--occurred-at")


def flask(app: Flask, *words: str, typed: str = "ada@example.com") -> Result:
    return app.test_cli_runner().invoke(args=["contacts", *words], input=f"{typed}\n")


def events(app: Flask) -> list[tuple[Any, ...]]:
    with app.app_context():
        return run_in_transaction(
            lambda c: c.execute(
                "SELECT kind, scope, received_at, actor FROM event ORDER BY seq"
            ).fetchall()
        )


@pytest.fixture
def ada(app: Flask) -> Flask:
    """The service, which knows Ada by two addresses."""
    addresses = (
        parse_address("ada@example.com", Channel.EMAIL),
        parse_address("+39 333 1234567", Channel.SMS),
    )
    with app.app_context():
        contacts.upsert_contacts(
            [ContactUpdate("c-1", "it", addresses)], RequestOrigin("test", "test", START)
        )
    return app


def test_show_tells_who_it_is_and_shows_no_address(ada: Flask) -> None:  # I12
    result = flask(ada, *SHOW, typed="Ada@Example.com")

    assert result.exit_code == 0
    assert "account    open" in result.stdout
    assert "language   it" in result.stdout
    assert "a***@e***.com" in result.stdout
    assert "ada@" not in result.stdout
    assert "3331234567" not in result.stdout


@pytest.mark.parametrize("typed", ["ada@example.com", "stranger@example.com"])
def test_each_look_is_recorded_with_who_and_why(ada: Flask, typed: str) -> None:
    flask(ada, *SHOW, "--reference", "SUP-12", "--as", "hedy", typed=typed)
    with ada.app_context():
        address = parse_address(typed, Channel.EMAIL)
        keys = services().keys
        [look] = run_in_transaction(lambda c: list_person_accesses(c, keys, address))
    assert (look.at, look.actor) == (START, "cli:hedy")
    assert (look.action, look.reason) == (AccessAction.CONTACT_VIEWED, AccessReason.CALLED)
    assert look.reference == "SUP-12"


@pytest.mark.parametrize(
    "words, problem",
    [
        (("show",), "--reason"),
        (("show", "--reason", "curious"), "--reason"),
        ((*SHOW, "--reference", "ada@example.com"), "never an address"),
    ],
)
def test_without_a_reason_nothing_is_shown(
    ada: Flask, words: tuple[str, ...], problem: str
) -> None:
    refused = flask(ada, *words)
    assert refused.exit_code == 2
    assert problem in refused.stderr
    assert "account" not in refused.stdout


@pytest.mark.parametrize("command", ["show", "reopen"])
def test_who_is_nobodys_is_reported(ada: Flask, command: str) -> None:
    words = ("reopen", *REOPEN, START.isoformat()) if command == "reopen" else SHOW
    result = flask(ada, *words, typed="grace@example.com")

    assert result.exit_code == 1
    assert "no such contact" in result.stderr
    assert events(ada) == []


def test_an_account_is_closed_from_when_the_company_received_it(ada: Flask) -> None:  # I3
    result = flask(ada, "deactivate", "--received-at", (START - timedelta(hours=5)).isoformat())

    assert result.exit_code == 0
    assert "Closed." in result.stdout
    at = START - timedelta(hours=5)
    assert (
        events(ada)
        == [
            ("deactivated", "everything", at, "cli:grace"),
            ("deactivated", "all_marketing", at, "cli:grace"),
        ]
        * 2
    )
    assert "already closed" in flask(ada, "deactivate").stdout


def test_an_account_is_opened_again_with_evidence(ada: Flask, clock: Clock) -> None:  # I6
    flask(ada, "deactivate")
    clock.advance(timedelta(hours=1))
    result = flask(ada, "reopen", *REOPEN, clock.now.isoformat())

    assert result.exit_code == 0
    assert "marketing stays off" in result.stdout
    assert "already open" in flask(ada, "reopen", *REOPEN, clock.now.isoformat()).stdout


@pytest.mark.parametrize(
    "words, typed, shown",
    [
        (("deactivate",), "not an address", "address"),
        (("deactivate", "--received-at", "yesterday"), "ada@example.com", "--received-at"),
        (("deactivate", "--received-at", "2031-01-01T00:00Z"), "ada@example.com", "future"),
        (("reopen",), "ada@example.com", "--source"),
        ((*SHOW, "--channel", "fax"), "ada@example.com", "--channel"),
    ],
)
def test_a_wrong_word_is_named_and_nothing_written(
    ada: Flask, words: tuple[str, ...], typed: str, shown: str
) -> None:
    result = flask(ada, *words, typed=typed)

    assert result.exit_code == 2
    assert shown in result.stderr
    assert events(ada) == []


def test_a_restriction_is_shown_and_ended_by_the_person(ada: Flask, clock: Clock) -> None:
    restricted = flask(ada, "restrict", "--received-at", START.isoformat())
    assert "Restricted." in restricted.stdout
    assert f"restricted since {START:%Y-%m-%d %H:%M} UTC" in restricted.stdout
    assert "already restricted" in flask(ada, "restrict").stdout
    clock.advance(timedelta(hours=1))
    ended = flask(ada, "unrestrict", *REOPEN, clock.now.isoformat())
    assert "No longer restricted." in ended.stdout
    assert "since" not in ended.stdout
    assert "not restricted" in flask(ada, "unrestrict", *REOPEN, clock.now.isoformat()).stdout


def test_support_ends_a_restriction_seven_days_after_a_notice(ada: Flask, clock: Clock) -> None:
    flask(ada, "restrict")
    clock.advance(timedelta(hours=1))
    sent_at = clock.now.isoformat()
    too_early = flask(ada, "unrestrict", "--notice-sent-at", sent_at)
    assert (too_early.exit_code, "7 days" in too_early.stderr) == (1, True)
    clock.advance(timedelta(days=7))
    assert "No longer" in flask(ada, "unrestrict", "--notice-sent-at", sent_at).stdout


@pytest.mark.parametrize(
    "words", [(), REOPEN[:-1], ("--notice-sent-at", START.isoformat(), *REOPEN[:2])]
)
def test_a_restriction_is_not_ended_without_one_proof(ada: Flask, words: tuple[str, ...]) -> None:
    flask(ada, "restrict")
    result = flask(ada, "unrestrict", *words)
    assert (result.exit_code, "--notice-sent-at" in result.stderr) == (2, True)
    assert "unrestricted" not in [kind for kind, *_ in events(ada)]
