"""Correcting the address: a link to the new one, a notice to the old, and its undo."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from preference_center.contacts import load_contacts, upsert_contacts
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import TokenPurpose
from preference_center.infra.context import services
from preference_center.infra.outbox import EmailKind
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.rules.requests import RequestKind, RequestState
from preference_center.web.languages import LANGUAGES
from tests.clock import START
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.rights.pages.acts import press, requests_in
from tests.web.pages.work import work_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from preference_center.infra.outbox import OutgoingEmail
    from tests.clock import Clock
    from tests.ledger.tables import Ledger

OLD, NEW = "jane.doe@example.com", "jane.roe@example.com"
ORIGIN = RequestOrigin("test", "test", START)


@pytest.fixture(autouse=True)
def _mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    give_mail_server(app, monkeypatch)


def know(app: Flask, address: str) -> None:
    with app.app_context():
        upsert_contacts([ContactUpdate(addresses=(parse_address(address, Channel.EMAIL),))], ORIGIN)


def ask(client: FlaskClient, proven: str, new: str = NEW) -> TestResponse:
    return press(client, f"/rights/correct/{proven}", what="address", address=new)


def emails_to(app: Flask, address: str, kind: EmailKind) -> list[OutgoingEmail]:
    found = [email for email in queued_emails(app) if email.kind is kind]
    return [email for email in found if email.recipient.exact == address]


@pytest.fixture
def link(app: Flask, client: FlaskClient, proven: str) -> str:
    """The path of the link that was mailed to Jane's new address."""
    know(app, OLD)
    ask(client, proven)
    (email,) = emails_to(app, NEW, EmailKind.NEW_ADDRESS)
    return link_in(email)


def contact_of(app: Flask, address: str) -> Any:
    with app.app_context():
        parsed = parse_address(address, Channel.EMAIL)
        return load_contacts([ContactRef(address=parsed)]).owner(parsed)


def test_the_link_to_the_new_address_moves_what_was_said(
    app: Flask, client: FlaskClient, token: str, link: str, subscribed: Callable[..., Any]
) -> None:
    client.post(f"/u/{token}", data={"confirm": "this"})
    assert subscribed(NEW)
    shown = client.get(link)
    assert OLD not in shown.text  # C6
    assert NEW not in shown.text
    done = client.post(link, data={"confirm": "yes"})
    assert "<title>Your address is corrected" in done.text
    assert 'id="result" role="status" tabindex="-1" autofocus' in done.text
    for page in (shown, done):
        assert "No marketing is sent to the old one" in page.text  # service mail may be
    assert not subscribed(NEW)  # I5: the opt-out follows its person
    assert contact_of(app, NEW) == contact_of(app, OLD)
    (asked,) = requests_in(app)
    assert (asked.kind, asked.state) == (RequestKind.CORRECT, RequestState.DONE)


def test_scanners_move_nothing(client: FlaskClient, link: str, ledger: Ledger) -> None:  # I7
    before = ledger.rows()
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        assert client.open(link, method=method).status_code == 200
    assert ledger.rows() == before


def test_the_old_address_gets_a_notice_and_undoes_it_for_seven_days(
    app: Flask, client: FlaskClient, link: str, clock: Clock, ledger: Ledger
) -> None:
    client.post(link, data={"confirm": "yes"})
    (notice,) = emails_to(app, OLD, EmailKind.ADDRESS_MOVED)
    assert notice.expires_at == START + timedelta(days=7)
    assert "jane.doe" not in notice.values["link"].lower()  # I12
    before = ledger.rows()
    assert "This wasn’t me" in client.get(link_in(notice)).text
    assert ledger.rows() == before
    clock.advance(timedelta(days=7))
    for _ in range(2):
        assert "It is undone" in client.post(link_in(notice), data={"undo": "yes"}).text
    assert contact_of(app, NEW) != contact_of(app, OLD)


def test_after_seven_days_the_notice_says_whom_to_write_to(
    app: Flask, client: FlaskClient, link: str, clock: Clock
) -> None:
    client.post(link, data={"confirm": "yes"})
    (notice,) = emails_to(app, OLD, EmailKind.ADDRESS_MOVED)
    clock.advance(timedelta(days=7, seconds=1))
    late = client.post(link_in(notice), data={"undo": "yes"})
    assert late.status_code == 410
    assert "Too late" in late.text


def test_pressed_twice_it_is_one_move_and_a_replay_after_the_undo_moves_nothing(
    app: Flask, client: FlaskClient, link: str, clock: Clock, ledger: Ledger
) -> None:
    for _ in range(2):
        assert client.post(link, data={"confirm": "yes"}).status_code == 200
    assert len(requests_in(app)) == 1
    (notice,) = emails_to(app, OLD, EmailKind.ADDRESS_MOVED)
    clock.advance(timedelta(minutes=5))
    client.post(link_in(notice), data={"undo": "yes"})
    before = ledger.rows()
    replay = client.post(link, data={"confirm": "yes"})
    assert replay.status_code == 410
    assert ledger.rows() == before


def test_the_link_works_for_a_day(client: FlaskClient, link: str, clock: Clock) -> None:
    clock.advance(timedelta(hours=24, seconds=1))
    for answer in (client.get(link), client.post(link, data={"confirm": "yes"})):
        assert answer.status_code == 410
        assert "This link has expired" in answer.text


def test_an_address_of_another_account_is_for_support_to_merge(
    app: Flask, client: FlaskClient, link: str, ledger: Ledger
) -> None:
    know(app, NEW)
    before = ledger.events()
    answer = client.post(link, data={"confirm": "yes"})
    assert answer.status_code == 409
    assert "belongs to an account of its own" in answer.text
    assert ledger.events() == before
    assert [each.state for each in requests_in(app)] == [RequestState.OPEN]
    assert emails_to(app, OLD, EmailKind.ADDRESS_MOVED) == []


@pytest.mark.parametrize(
    "typed, remedy",
    [
        ("", "Enter an email address"),
        (OLD, "already"),
        (f"{NEW}, x@example.com", "more than one email address"),
        ("+393331234567", "phone number"),
    ],
)
def test_what_is_no_new_address_is_said(
    app: Flask, client: FlaskClient, proven: str, typed: str, remedy: str
) -> None:
    answer = ask(client, proven, typed)
    assert answer.status_code == 422
    assert remedy in answer.text
    assert queued_emails(app) == []


def test_a_known_and_an_unknown_new_address_get_the_same_answer(
    app: Flask, client: FlaskClient, proven: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(app, NEW)
    path = f"/rights/correct/{proven}"
    fields = client.get(path, query_string={"what": "address"}).text
    hidden = dict(
        part.split('" value="', 1) for part in fields.split('name="')[1:] if "value=" in part
    )
    data = {name: value.split('"')[0] for name, value in hidden.items()} | {"what": "address"}

    def post(client: FlaskClient, address: str) -> TestResponse:
        return client.post(path, data=data | {"address": address})

    post(client, "warm.up@example.com")
    known, known_work = work_of(post, client, NEW, monkeypatch)
    unknown, unknown_work = work_of(post, client, "jack.poe@example.com", monkeypatch)
    assert known.status_code == unknown.status_code == 200
    assert known.text.replace(NEW, "jack.poe@example.com") == unknown.text
    assert known_work == unknown_work


@pytest.mark.parametrize("path", ["/rights/address/broken", "/rights/moved/broken"])
def test_a_broken_link_changes_nothing(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404
    assert client.post(path, data={"confirm": "yes", "undo": "yes"}).status_code == 404


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_speaks_the_language(
    app: Flask, client: FlaskClient, link: str, language: str
) -> None:
    answers = [
        client.get(f"{link}?lang={language}"),
        client.post(f"{link}?lang={language}", data={"confirm": "yes"}),
    ]
    (notice,) = emails_to(app, OLD, EmailKind.ADDRESS_MOVED)
    answers.append(client.get(f"{link_in(notice)}?lang={language}"))
    for answer in answers:
        assert answer.headers["Content-Language"] == language


def test_a_mailbox_of_a_role_takes_more_proof(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:
    with app.app_context():
        role = parse_address("info@example.com", Channel.EMAIL)
        visit = services().links.create_one_time_token(
            TokenPurpose.PAGE_VISIT, role, UUID(int=1), clock()
        )
    ask(client, visit)
    (email,) = emails_to(app, NEW, EmailKind.NEW_ADDRESS)
    answer = client.post(link_in(email), data={"confirm": "yes"})
    assert answer.status_code == 409
    assert "sure that it’s you" in answer.text
    assert [asked.state for asked in requests_in(app)] == [RequestState.RECEIVED]
