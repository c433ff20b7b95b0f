"""`/s/<code>`: short links for text messages, which opt out for ever and name nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Never

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidLink, Unavailable, UnavailableCause
from preference_center.core.events import EventKind
from preference_center.core.links.tokens import (
    CODE_LENGTH,
    Link,
    find_code,
    lookup_value,
    new_code,
    open_content,
    seal_content,
)
from preference_center.core.sms_parts import GSM_ALPHABET
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.recipients.pages import one_click
from preference_center.rights.rules.requests import Extent
from preference_center.web.pages.mailed_links import insert_short_links
from tests.clock import Clock
from tests.ledger.tables import Ledger
from tests.rights.erasing import erase, row, rows, store, tables_with

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

PHONE = parse_address("+393331234567", Channel.SMS)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def code(app: Flask, clock: Clock) -> str:
    """The code of a link to opt out of the topic of text messages."""
    link = Link(PHONE, "alerts", "m-1", clock())
    token = app.extensions[EXTENSION_NAME].links.create_token(link)
    with app.app_context():
        (code,) = run_in_transaction(
            lambda connection: insert_short_links(connection, [f"u/{token}"], services().now())
        )
    return code


def test_it_leads_to_the_page_of_its_token_and_writes_nothing(
    client: FlaskClient, code: str, ledger: Ledger
) -> None:  # I7
    answer = client.get(f"/s/{code}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (303, "no-store")
    page = client.get(answer.headers["Location"])
    assert page.status_code == 200
    assert "+39 *** **67" in page.text
    assert client.head(f"/s/{code}").status_code == 303
    assert ledger.kinds() == []


def test_its_page_opts_out(client: FlaskClient, code: str, ledger: Ledger) -> None:
    page = client.get(f"/s/{code}").headers["Location"]
    assert client.post(page, data={"confirm": "this"}, follow_redirects=True).status_code == 200
    assert ledger.kinds() == [(EventKind.OPTED_OUT, "alerts")]


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=4000)])
def test_one_click_opts_out_however_often_and_however_old(
    client: FlaskClient, clock: Clock, code: str, ledger: Ledger, age: timedelta
) -> None:  # I7
    clock.advance(age)
    for _ in range(2):
        assert client.post(f"/s/{code}", data=ONE_CLICK).status_code == 200
    assert ledger.kinds() == [(EventKind.OPTED_OUT, "alerts")]
    assert client.get(f"/s/{code}", follow_redirects=True).status_code == 200


def test_what_a_messaging_app_adds_does_not_matter(client: FlaskClient, code: str) -> None:
    for added in (".", ")", "/", "%20", ",%20thanks"):
        assert client.get(f"/s/{code}{added}").status_code == 303


def test_an_unknown_code_is_answered_as_any_broken_link(
    client: FlaskClient, code: str, ledger: Ledger
) -> None:
    for wrong in (new_code(), code[:-1], f"{code}x", code.swapcase(), "{{code}}"):
        assert client.get(f"/s/{wrong}").status_code == 404
        assert client.post(f"/s/{wrong}", data=ONE_CLICK).status_code == 404
    assert ledger.kinds() == []


def test_without_the_database_nothing_is_acknowledged(
    client: FlaskClient, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1
    def fail(_work: object) -> Never:
        raise Unavailable("away", UnavailableCause.UNREACHABLE)

    monkeypatch.setattr(one_click, "run_in_transaction", fail)
    for answer in (client.get(f"/s/{code}"), client.post(f"/s/{code}", data=ONE_CLICK)):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]


def test_no_row_opens_without_its_code(app: Flask, code: str) -> None:  # I6, I12
    with app.app_context():
        lookup, content, _ = row("SELECT lookup, content, created_at FROM short_link")
    assert bytes(lookup) == lookup_value(code)
    assert code.encode() not in bytes(lookup) + bytes(content)
    assert open_content(code, content).startswith("u/")
    with pytest.raises(InvalidLink):
        open_content(new_code(), content)


@pytest.mark.parametrize("extent", Extent)
def test_a_link_of_an_erased_person_opts_out_and_stores_nothing_readable(
    app: Flask, client: FlaskClient, code: str, extent: Extent
) -> None:  # I6
    with app.app_context():
        store(PHONE)
        erase(PHONE, extent=extent)
        assert client.post(f"/s/{code}", data=ONE_CLICK).status_code == 200
        assert client.get(f"/s/{code}", follow_redirects=True).status_code == 200
        assert rows("SELECT FROM event WHERE kind = 'opted_out' AND scope = 'alerts'")
        assert tables_with(PHONE.exact) == set()


def test_codes_are_short_and_of_the_alphabet_of_text_messages() -> None:
    codes = {new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert {len(code) for code in codes} == {CODE_LENGTH}
    assert GSM_ALPHABET.issuperset("".join(codes))
    code = codes.pop()
    assert find_code(code) == code
    assert seal_content(code, "u/x") == seal_content(code, "u/x") != b"u/x"


def test_many_are_stored_at_once(app: Flask) -> None:
    with app.app_context():
        codes = run_in_transaction(
            lambda connection: insert_short_links(
                connection, [f"u/{number}" for number in range(50)], services().now()
            )
        )
        found = [one_click.resolve_code(code) for code in codes]
    assert found == [("u", str(number)) for number in range(50)]
