"""Sending a person a fresh link: what /form sends, with its limit, in the language chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.contacts import deactivate_contacts, restrict_contacts
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.outbox import EmailKind
from preference_center.ledger.rules import RequestOrigin
from tests.clock import START
from tests.contacts.console.people import ADA, open_person, say
from tests.in_force import put_in_force
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask

ORIGIN = RequestOrigin("test", "test", START)


@pytest.fixture
def support(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Staff:
    put_in_force(app)
    give_mail_server(app, monkeypatch)
    return staff(app, Role.SUPPORT)


def audited(app: Flask) -> list[tuple[str, str]]:
    with app.app_context():
        return run_in_transaction(
            lambda c: c.execute(
                "SELECT actor, detail::text FROM audit WHERE action = 'person.link_sent'"
            ).fetchall()
        )


def test_the_link_is_queued_in_the_language_that_was_chosen(app: Flask, support: Staff) -> None:
    path = open_person(support)
    assert "It works once, within 24 hours." in words(support.get(f"{path}/link"))
    answer = support.post(f"{path}/link", language="it")
    assert "A link is on its way" in words(support.get(answer.headers["Location"]))
    (email,) = queued_emails(app)
    assert (email.kind, email.recipient, email.language) == (EmailKind.ONE_TIME_LINK, ADA, "it")
    assert email.unproven
    assert app.test_client().get(link_in(email)).status_code == 200
    ((actor, detail),) = audited(app)
    assert actor == "console:grace"
    assert path.rpartition("/")[2] in detail
    assert "ada@" not in detail


def test_beyond_the_limit_of_the_mailbox_nothing_is_sent_and_it_says_so(
    app: Flask, support: Staff
) -> None:
    path = open_person(support)
    answers = [support.post(f"{path}/link", language="en").status_code for _ in range(4)]
    assert answers == [303, 303, 303, 422]
    assert len(queued_emails(app)) == 3
    assert len(audited(app)) == 3


def test_a_phone_number_gets_none(app: Flask, support: Staff) -> None:
    path = open_person(support, "+393331234567")
    assert "Links are sent by email." in words(support.get(f"{path}/link"))
    assert support.post(f"{path}/link", language="en").status_code == 422
    assert not queued_emails(app)


def test_without_a_mail_server_it_says_which_setting_is_missing(app: Flask) -> None:
    put_in_force(app)
    who = staff(app, Role.SUPPORT)
    assert "SMTP_URL" in words(who.get(f"{open_person(who)}/link"))


def test_it_says_what_the_page_can_do_for_who_closed_limited_or_erased(
    app: Flask, support: Staff
) -> None:
    path = open_person(support)
    with app.app_context():
        restrict_contacts([(ContactRef(address=ADA), START)], ORIGIN)
    assert "limits the use of their data" in words(support.get(f"{path}/link"))
    assert "limited" in words(support.get(path))
    with app.app_context():
        deactivate_contacts([(ContactRef(address=ADA), START)], ORIGIN)
    assert "The account is closed" in words(support.get(f"{path}/link"))
    assert "May service mail be sent? no Account closed" in words(support.get(path))


def test_of_an_erased_person_only_what_keeps_marketing_off_is_shown(
    app: Flask, support: Staff
) -> None:
    say(app)
    with app.app_context():
        run_in_transaction(
            lambda c: c.execute("UPDATE address SET erased_at = %s, ciphertext = NULL", (START,))
        )
    path = open_person(support)  # I6
    assert "This person was erased on 24 Nov 2026, 10:00 ." in words(support.get(path))
    assert "Opted out: all marketing" in words(support.get(path))
    assert "This person was erased: the page shows nothing" in words(support.get(f"{path}/link"))
