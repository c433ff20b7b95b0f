"""`flask holds`, as compliance uses it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from preference_center import contacts
from preference_center.context import services
from preference_center.domain.addresses import Channel, parse_address
from preference_center.domain.contacts import ContactUpdate
from preference_center.domain.sender_requests import RequestOrigin
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.rights.holds import held_addresses
from tests.clock import START, Clock

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

PLACE = ("place", "--reference", "C-14", "--ground", "claims")


def flask(app: Flask, *words: str, typed: str = "ada@example.com") -> Result:
    return app.test_cli_runner().invoke(args=["holds", *words], input=f"{typed}\n")


def held(app: Flask) -> dict[int, str]:
    with app.app_context():
        return run_in_transaction(
            lambda c: held_addresses(
                c, [row[0] for row in c.execute("SELECT id FROM address")], services().now()
            )
        )


def rows(app: Flask, query: bytes) -> list[tuple[Any, ...]]:
    with app.app_context():
        return run_in_transaction(lambda c: c.execute(query).fetchall())


def test_a_hold_covers_all_addresses_of_the_contact(app: Flask) -> None:
    both = tuple(parse_address(f"{name}@example.com", Channel.EMAIL) for name in ("ada", "work"))
    origin = RequestOrigin("test", "test", START)
    with app.app_context():
        contacts.upsert_contacts([ContactUpdate("c-1", "it", both)], origin)

    result = flask(app, *PLACE)

    assert (result.exit_code, result.stdout) == (0, "C-14: holds 2 addresses.\n")
    assert list(held(app).values()) == ["claims", "claims"]


def test_an_address_that_is_not_known_yet_can_be_held(app: Flask) -> None:
    assert flask(app, *PLACE).stdout == "C-14: holds 1 address.\n"
    assert list(held(app).values()) == ["claims"]


def test_a_hold_ends_when_it_is_ended(app: Flask) -> None:
    flask(app, *PLACE)

    assert flask(app, "end", "--reference", "C-14").stdout == "C-14: ended 1 hold.\n"
    assert not held(app)
    assert flask(app, "list").stdout == "C-14\tended\t2026-11-24\tclaims\n"
    again = flask(app, "end", "--reference", "C-14")
    assert again.exit_code == 1
    assert "see flask holds list" in again.stderr


def test_a_hold_with_an_end_ends_by_itself(app: Flask, clock: Clock) -> None:
    end = (START + timedelta(days=30)).isoformat()
    flask(app, *PLACE, "--until", end)
    assert held(app)

    clock.advance(timedelta(days=31))

    assert not held(app)


def test_no_case_holds_the_address(app: Flask) -> None:  # I12
    flask(app, *PLACE)
    assert "ada@" not in str(rows(app, b"SELECT * FROM hold"))
    assert "ada@" not in str(rows(app, b"SELECT * FROM audit"))


def test_what_is_wrong_is_named(app: Flask) -> None:
    past = flask(app, *PLACE, "--until", "2020-01-01T00:00Z")
    assert past.exit_code == 2
    assert "--until: is not in the future" in past.stderr
    assert "Address" in flask(app, *PLACE, typed="ada").stderr
    assert flask(app, "list").stderr == "No holds.\n"
