"""A person asks that the account is deleted: what counts at once, and what is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidInput
from preference_center.infra.outbox import EmailKind
from preference_center.rights.requests import agents, decide, handle, steps
from preference_center.rights.requests.steps import list_steps, load_request
from preference_center.rights.rules.new_request import Agent
from preference_center.rights.rules.requests import (
    IdentityLevel,
    RequestKind,
    RequestState,
    RequestVia,
)
from preference_center.web.emails import render_email
from tests.clock import START
from tests.rights.asking import ADA, CONTROLS, NUMBER, ask, new, rows
from tests.rights.requests.test_agents import PDF
from tests.rights.requests.test_closings import WORK, know
from tests.rights.requests.test_emails import mails

pytestmark = pytest.mark.usefixtures("can_mail")

MAX = Agent("Max", "max@agents.example")
ACTIVE = "SELECT scope FROM suppression WHERE active ORDER BY scope"


def receipt() -> str:
    [email] = [mail for mail in mails() if mail.kind is EmailKind.RIGHTS_RECEIVED]
    body = render_email(email, START).get_body(("plain",))
    assert body
    return " ".join(body.get_content().split())


@pytest.mark.parametrize("level", [IdentityLevel.NONE, CONTROLS, IdentityLevel.CONTACT])
def test_marketing_is_off_at_once_whatever_is_proven(level: IdentityLevel) -> None:  # I2
    know(ADA, WORK)
    asked = ask(RequestKind.ERASE, level=level)
    assert not asked.state.closed
    assert rows(ACTIVE) == [("all_marketing",)]
    assert "All marketing to this address is off." in receipt()


@pytest.mark.parametrize(
    "kind, given",
    [
        (RequestKind.ACCESS, {}),
        (RequestKind.ERASE, {"via": RequestVia.AGENT, "agent": MAX}),
    ],
)
def test_nothing_is_off_where_something_else_is_asked_for_or_an_agent_asks(
    kind: RequestKind, given: dict[str, Any]
) -> None:
    """The person whom an agent names is told that nothing is done before they confirm it."""
    ask(kind, **given)
    assert rows(ACTIVE) == []


@pytest.mark.parametrize("others", [(), (WORK,)])
@pytest.mark.parametrize("answer", ["confirms", "accepts", "identifies", "refuses", "reads"])
def test_what_an_agent_asks_for_is_off_once_the_person_confirms_it(
    others: tuple[Address, ...], answer: str
) -> None:  # I2
    know(ADA, *others)
    asked = agents.ask_for_principal(new(RequestKind.ERASE, via=RequestVia.AGENT, agent=MAX), [PDF])
    if answer == "confirms":
        agents.confirm_by_principal(asked.id)
        agents.confirm_by_principal(asked.id)
    elif answer == "accepts":
        agents.accept_authority(asked.id, "support")
    elif answer == "identifies":
        handle.confirm_identity(asked.id, CONTROLS, "support")
    elif answer == "refuses":
        agents.refuse_by_principal(asked.id)
    is_off = answer not in {"refuses", "reads"}
    assert rows(ACTIVE) == ([("all_marketing",)] if is_off else [])
    assert load_request(asked.id).stops_marketing is is_off
    assert len(rows("SELECT FROM event WHERE kind = 'opted_out'")) == is_off


def test_a_confirmation_that_fails_turns_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = agents.ask_for_principal(new(RequestKind.ERASE, via=RequestVia.AGENT, agent=MAX))

    def fail(*_: object, **__: object) -> None:
        raise InvalidInput("planted")

    monkeypatch.setattr(steps, "confirm_identity", fail)
    with pytest.raises(InvalidInput, match="planted"):
        agents.confirm_by_principal(asked.id)
    assert rows(ACTIVE) == []


def test_the_receipt_says_that_the_person_has_to_write_to_us() -> None:
    know(ADA, WORK)
    asked = ask(RequestKind.ERASE, level=CONTROLS)
    assert asked.required_level is IdentityLevel.CONTACT
    text = receipt()
    assert "Write to us and quote the reference." in text
    assert "at the latest" not in text  # no date: it waits for the person


@pytest.mark.parametrize("kind", [RequestKind.ACCESS, RequestKind.ERASE, RequestKind.CLOSE])
def test_nobody_has_to_write_to_us_where_a_mailed_link_is_proof_enough(kind: RequestKind) -> None:
    """GDPR art. 12(6): more is asked about who it is only where there is a doubt."""
    know(ADA)
    assert ask(kind).required_level is CONTROLS
    assert "Write to us" not in receipt()


def test_the_other_addresses_of_the_account_get_a_notice_that_it_is_deleted() -> None:
    know(ADA, WORK, NUMBER)
    decide.fulfil_data_request(ask(RequestKind.ERASE, level=IdentityLevel.CONTACT), "company")
    assert {(mail.kind, mail.recipient) for mail in mails()} == {
        (EmailKind.RIGHTS_DONE, ADA),
        (EmailKind.ERASED, WORK),
    }


def test_one_mailbox_is_proof_enough_where_the_account_has_no_other() -> None:
    know(ADA)
    asked = ask(RequestKind.ERASE, level=CONTROLS)
    assert asked.state is RequestState.OPEN
    assert "Write to us" not in receipt()
    decide.fulfil_data_request(asked, "company")
    assert load_request(asked.id).state is RequestState.DONE


def test_an_address_that_the_account_gains_meanwhile_takes_more_proof() -> None:
    know(ADA)
    asked = ask(RequestKind.ERASE, level=CONTROLS)
    know(ADA, WORK)
    with pytest.raises(Exception, match="other addresses"):
        decide.fulfil_data_request(asked, "company")
    handle.confirm_identity(asked.id, IdentityLevel.CONTACT, "support")
    decide.fulfil_data_request(load_request(asked.id), "company")
    assert list_steps(asked.id)[-1].action == "done"
