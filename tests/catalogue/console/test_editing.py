"""Editing the catalogue: what was checked is applied, and nothing that was typed is lost."""

from __future__ import annotations

import re
import tomllib
from html import unescape
from typing import TYPE_CHECKING

import pytest

from preference_center.catalogue import catalogue_digest, inline_files
from preference_center.catalogue import store as catalogues
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from tests.catalogue.catalogues import SECOND_TOPIC, SMALL, edited
from tests.clock import START
from tests.in_force import put_in_force
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

EDIT = "/console/catalogue/edit"
MORE = SMALL + SECOND_TOPIC


def hidden(answer: TestResponse, name: str) -> str:
    html = answer.get_data(as_text=True)
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    return unescape(found[1]) if found else ""


def typed(answer: TestResponse) -> str:
    html = answer.get_data(as_text=True)
    found = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", html, re.DOTALL)
    assert found
    return unescape(found[1])


def check(who: Staff, text: str, base: str = "") -> TestResponse:
    return who.post(EDIT, text=text, base=base, checked="")


def apply(who: Staff, answer: TestResponse, text: str) -> TestResponse:
    """Press the button of a page that has checked a text."""
    return who.post(EDIT, text=text, base=hidden(answer, "base"), checked=hidden(answer, "checked"))


def in_force(app: Flask) -> list[tuple[object, ...]]:
    query = "SELECT text, applied_by FROM catalogue_version ORDER BY id"
    with app.app_context():
        return run_in_transaction(lambda connection: connection.execute(query).fetchall())


def test_what_was_checked_is_applied_with_who_did_it(app: Flask) -> None:
    put_in_force(app, SMALL)
    who = staff(app, Role.ADMIN, name="ada")
    opened = who.get(EDIT)
    assert typed(opened) == SMALL
    checked = check(who, MORE.replace("\n", "\r\n"), hidden(opened, "base"))
    assert checked.status_code == 200
    assert "added topic acme.offers" in words(checked)
    assert len(in_force(app)) == 1  # a check writes nothing
    applied = apply(who, checked, MORE)
    assert applied.status_code == 303
    assert "is in force." in words(who.get(applied.headers["Location"]))
    assert in_force(app)[1] == (MORE, "console:ada")
    with app.app_context():
        audit = run_in_transaction(
            lambda c: c.execute(
                "SELECT actor, action, detail FROM audit ORDER BY at, id"
            ).fetchall()
        )
    assert audit[-1][:2] == ("console:ada", "catalogue.applied")
    assert audit[-1][2]["digest"] == catalogue_digest(MORE)


def test_problems_link_to_their_lines_and_the_text_stays(app: Flask) -> None:
    put_in_force(app, SMALL)
    wrong = edited(('channel = "email"', 'channel = "<script>"'))
    answer = check(staff(app, Role.ADMIN), wrong)
    assert answer.status_code == 422
    assert typed(answer) == wrong
    html = answer.get_data(as_text=True)
    assert 'href="#line-12"' in html
    assert 'id="line-12"' in html
    assert "<script>" not in html
    assert len(in_force(app)) == 1


@pytest.mark.parametrize(
    "text, says",
    [
        (f"{'.'.join(['a'] * 50_000)} = 1", "a key has more than 8 parts; write tables inside"),
        ("[a]\n" * 2_000, "each key and each [table] stands once"),
        ("#" * (512 * 1024 + 1), "more than 512 KB without its files; leave out"),
    ],
    ids=["parts", "tables", "long"],
)
def test_a_text_that_takes_the_parser_long_is_answered_with_what_to_fix(
    app: Flask, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    put_in_force(app)
    calls: list[int] = []
    loads = tomllib.loads

    def load(each: str) -> object:
        calls.append(len(each))
        return loads(each)

    monkeypatch.setattr("tomllib.loads", load)
    answer = check(staff(app, Role.ADMIN), text)
    assert answer.status_code == 422
    assert says in words(answer)
    assert sum(calls) <= 21 * 8_000


def test_a_text_that_was_changed_after_the_check_is_checked_again(app: Flask) -> None:
    put_in_force(app, SMALL)
    who = staff(app, Role.ADMIN)
    checked = check(who, MORE, catalogue_digest(SMALL))
    again = apply(who, checked, MORE + "\n# one more thing\n")
    assert again.status_code == 200
    assert len(in_force(app)) == 1
    assert hidden(again, "checked")


def test_it_is_not_applied_over_a_version_of_somebody_else(app: Flask) -> None:
    put_in_force(app, SMALL)
    who = staff(app, Role.ADMIN)
    checked = check(who, MORE, catalogue_digest(SMALL))
    theirs = edited(('en = "Every month"', 'en = "Each month"'))
    put_in_force(app, theirs)
    answer = apply(who, checked, MORE)
    assert answer.status_code == 422
    assert "Somebody else has applied another version" in words(answer)
    assert 'description.en: "Each month" -> "Every month"' in words(answer)  # what it takes back
    assert typed(answer) == MORE
    assert len(in_force(app)) == 2
    assert apply(who, answer, MORE).status_code == 303  # having seen that


def test_a_change_that_would_lift_an_opt_out_is_refused(app: Flask) -> None:  # I5
    put_in_force(app, MORE)
    with app.app_context():
        record(
            [
                Change(
                    id=app.extensions["preference_center"].new_id(),
                    address=parse_address("anna@example.org", Channel.EMAIL),
                    kind=EventKind.OPTED_OUT,
                    scope="acme.offers",
                    occurred_at=START,
                    received_at=START,
                    source="test",
                    actor="person",
                )
            ]
        )
    who = staff(app, Role.ADMIN)
    answer = check(who, SMALL, catalogue_digest(MORE))
    assert answer.status_code == 422
    assert "topic acme.offers still has opt-outs" in words(answer)
    assert not hidden(answer, "checked")
    forced = who.post(
        EDIT, text=SMALL, base=catalogue_digest(MORE), checked=catalogue_digest(SMALL)
    )
    assert forced.status_code == 422
    assert len(in_force(app)) == 1


def test_pictures_of_brands_stand_by_name_and_stay_what_they_are(app: Flask) -> None:
    picture = b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9v9z"/></svg>'
    with_logo = edited(('name = "Acme"', 'name = "Acme"\nlogo = "file:logo.svg"'))
    text = inline_files(with_logo, lambda _name: picture)
    put_in_force(app, text)
    who = staff(app, Role.ADMIN)
    opened = typed(who.get(EDIT))
    assert "base64" not in opened
    assert re.search(r'logo = "file:stored/[0-9a-f]{12}\.svg"', opened)
    checked = check(who, opened + SECOND_TOPIC, catalogue_digest(text))
    assert apply(who, checked, opened + SECOND_TOPIC).status_code == 303
    assert in_force(app)[1][0] == text + SECOND_TOPIC
    unknown = check(who, with_logo, catalogue_digest(text))
    assert "file:logo.svg can’t be read" in words(unknown).replace("'", "’")


def test_the_first_catalogue_can_be_written_here(app: Flask) -> None:
    who = staff(app, Role.ADMIN)
    checked = check(who, SMALL, hidden(who.get(EDIT), "base"))
    assert apply(who, checked, SMALL).status_code == 303
    with app.app_context():
        assert run_in_transaction(catalogues.load_current_text) == SMALL
    same = check(who, SMALL, catalogue_digest(SMALL))
    assert "there is nothing to apply" in words(same)
