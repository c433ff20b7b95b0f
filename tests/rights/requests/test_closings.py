"""Who closes an account that has several addresses, who is informed, and how it is undone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from preference_center import contacts
from preference_center.contacts.rules.contact import AccountState, ContactRef, ContactUpdate
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.outbox import EmailKind, OutgoingEmail
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.rights.requests import clocks, decide, handle, steps
from preference_center.rights.requests.steps import load_request
from preference_center.rights.rules.requests import (
    IdentityLevel,
    RequestKind,
    RequestOutcome,
    RequestState,
)
from tests.clock import Clock
from tests.infra.mailing import link_in
from tests.rights.asking import ADA, CONTROLS, NUMBER, ask, rows
from tests.rights.requests.test_emails import mails

pytestmark = pytest.mark.usefixtures("can_mail")

CONTACT = IdentityLevel.CONTACT
WORK = parse_address("ada@work.example", Channel.EMAIL)


def know(*addresses: Address) -> None:
    origin = RequestOrigin("test", "test", services().now())
    contacts.upsert_contacts([ContactUpdate(addresses=addresses)], origin)


def account() -> AccountState:
    ref = ContactRef(address=ADA)
    return contacts.load_contacts([ref]).find(ref).account


def notices() -> list[OutgoingEmail]:
    return [mail for mail in mails() if mail.kind is EmailKind.ACCOUNT_CLOSED]


def test_one_mailbox_does_not_close_the_account_of_several_addresses() -> None:  # I9
    know(ADA, WORK)
    asked = ask(RequestKind.CLOSE, level=CONTROLS)
    assert (asked.state, asked.required_level) == (RequestState.RECEIVED, CONTACT)
    clocks.run_clocks(services().now())
    assert account() is AccountState.OPEN
    handle.confirm_identity(asked.id, CONTACT, "support")
    assert load_request(asked.id).state is RequestState.DONE
    assert account() is AccountState.DEACTIVATED


def test_one_mailbox_is_enough_where_the_account_has_no_other() -> None:
    know(ADA)
    assert ask(RequestKind.CLOSE, level=CONTROLS).outcome is RequestOutcome.FULFILLED
    assert notices() == []


def test_an_address_that_the_account_gains_meanwhile_takes_more_proof() -> None:
    """Where staff close it, days may pass between the request and the closing."""
    know(ADA)
    asked = ask(RequestKind.CLOSE)
    run_in_transaction(
        lambda c: steps.confirm_identity(asked.id, CONTROLS, "support", connection=c)
    )
    know(ADA, WORK)
    with pytest.raises(InvalidInput, match="other addresses"):
        decide.fulfil_data_request(load_request(asked.id), "support")
    clocks.run_clocks(services().now())
    assert account() is AccountState.OPEN
    handle.confirm_identity(asked.id, CONTACT, "support")
    assert account() is AccountState.DEACTIVATED


def test_every_other_mailbox_is_informed_and_undoes_it_for_seven_days(
    client: FlaskClient, clock: Clock
) -> None:
    know(ADA, WORK, NUMBER)
    ask(RequestKind.CLOSE, level=CONTACT)
    [notice] = notices()
    assert notice.recipient == WORK
    assert notice.expires_at == clock.now + timedelta(days=7)
    assert "example" not in notice.values["link"].partition("/rights/")[2]  # I12
    path = link_in(notice)
    clock.advance(timedelta(days=7))
    assert "This wasn’t me" in client.get(path).text
    assert account() is AccountState.DEACTIVATED  # I7
    for _ in range(2):
        done = client.post(path, data={"undo": "yes"}).text
        assert "<title>It is undone" in done
        assert 'id="result" role="status" tabindex="-1" autofocus' in done
        assert "Marketing stays off: you choose again" in done
        assert '<a href="/form">Choose what you receive</a>' in done  # where a link is emailed
    assert account() is AccountState.OPEN
    active = rows("SELECT DISTINCT scope FROM suppression WHERE active")
    assert active == [("all_marketing",)]  # I4, I6: service mail flows, and marketing stays off


def test_it_is_undone_though_the_account_has_gained_an_address_meanwhile(
    client: FlaskClient, clock: Clock
) -> None:  # which was closed with it, later than the notice says
    know(ADA, WORK)
    ask(RequestKind.CLOSE, level=CONTACT)
    [notice] = notices()
    clock.advance(timedelta(hours=1))
    know(ADA, WORK, NUMBER)
    clock.advance(timedelta(hours=1))
    assert "It is undone" in client.post(link_in(notice), data={"undo": "yes"}).text
    assert account() is AccountState.OPEN


def _let_pass(clock: Clock) -> None:
    clock.advance(timedelta(days=7, seconds=1))


def _erase(clock: Clock) -> None:
    clock.advance(timedelta(minutes=1))
    decide.fulfil_data_request(ask(RequestKind.ERASE, level=CONTACT), "company")


def _close_again(clock: Clock) -> None:
    ref, origin = ContactRef(address=ADA), RequestOrigin("test", "test", clock.now)
    clock.advance(timedelta(minutes=1))
    contacts.reopen_contacts([(ref, ConsentEvidence("page", "Open it", "en", clock.now))], origin)
    clock.advance(timedelta(minutes=1))
    contacts.deactivate_contacts([(ref, clock.now)], origin)
    clock.advance(timedelta(minutes=1))


@pytest.mark.parametrize("happens", [_let_pass, _erase, _close_again])
def test_it_is_too_late_after_seven_days_and_once_the_account_is_deleted_or_closed_again(
    client: FlaskClient, clock: Clock, happens: Callable[[Clock], None]
) -> None:
    know(ADA, WORK)
    ask(RequestKind.CLOSE, level=CONTACT)
    [notice] = notices()
    happens(clock)
    late = client.post(link_in(notice), data={"undo": "yes"})
    assert late.status_code == 410
    assert "Too late" in late.text
    assert "<title>Error: " in late.text
    assert account() is not AccountState.OPEN


def test_a_broken_link_opens_no_account(client: FlaskClient) -> None:
    assert client.get("/rights/closed/broken").status_code == 404
    assert client.post("/rights/closed/broken", data={"undo": "yes"}).status_code == 404
