"""Who is mailed what about a request, in the transaction that decides it."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.infra import outbox
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.outbox import ClaimedEmail, OutgoingEmail, SendResult
from preference_center.rights.requests.steps import (
    complete_data_request,
    extend_deadline,
    fail_identity,
    list_steps,
    refuse_data_request,
    withdraw_data_request,
)
from preference_center.rights.rules.new_request import Agent
from preference_center.rights.rules.requests import (
    ExtensionReason,
    Extent,
    RefusalGround,
    RequestKind,
    RequestOutcome,
    RequestState,
    RequestVia,
)
from tests.clock import Clock
from tests.rights.asking import ADA, CONTROLS, NUMBER, ask, rows

pytestmark = pytest.mark.usefixtures("can_mail")


def mails() -> list[OutgoingEmail]:
    """What waits in the outbox, by kind: mails of one moment have no order."""

    def load(connection: Connection) -> list[OutgoingEmail]:
        found = connection.execute(
            "SELECT id, kind, ciphertext, language, brand, expires_at, attempts"
            " FROM outgoing_mail WHERE ciphertext IS NOT NULL ORDER BY kind, created_at"
        )
        return [ClaimedEmail(*row).decrypt(services().keys) for row in found]

    return run_in_transaction(load)


def kinds() -> list[str]:
    return [mail.kind.removeprefix("rights_") for mail in mails()]


def test_the_reference_is_mailed_at_once_in_the_persons_language() -> None:
    asked = ask(language="it-CH", brand="acme")
    [mail] = mails()
    assert (mail.kind, mail.language, mail.brand) == ("rights_received", "it", "acme")
    assert mail.recipient == ADA
    assert mail.values["reference"] == asked.reference
    assert "/rights/status/" in mail.values["link"]
    assert "example.com" not in mail.values["link"].partition("/rights/")[2]  # I12
    assert list_steps(asked.id)[0].detail["mail"] == str(mail.id)


def test_what_became_of_an_email_is_kept_as_long_as_the_steps(clock: Clock) -> None:
    asked = ask()
    [email], lease = mails(), uuid4()
    until = clock.now + timedelta(minutes=1)
    run_in_transaction(lambda c: outbox.claim_email(c, lease, now=clock.now, until=until))
    assert list_steps(asked.id)[0].email_outcome == ""
    run_in_transaction(lambda c: outbox.settle_email(c, email.id, lease, SendResult.REFUSED))
    clock.advance(2 * 365 * timedelta(days=1))
    run_in_transaction(lambda c: outbox.purge_emails(c, clock.now))
    assert list_steps(asked.id)[0].email_outcome == "refused"
    clock.advance(timedelta(days=2))
    run_in_transaction(lambda c: outbox.purge_emails(c, clock.now))
    assert list_steps(asked.id)[0].email_outcome == ""


def test_every_decision_is_mailed_with_its_reason() -> None:
    extended = ask(level=CONTROLS)
    extend_deadline(extended.id, ExtensionReason.COMPLEX, "support")
    complete_data_request(extended.id, RequestOutcome.PARTLY, "support")
    refused = ask(RequestKind.CORRECT, level=CONTROLS)
    refuse_data_request(refused.id, RefusalGround.EXCESSIVE, "support")
    assert [(mail.kind, mail.values["why"]) for mail in mails()] == [
        ("rights_done", "partly"),
        ("rights_extended", "complex"),
        ("rights_received", ""),
        ("rights_received", ""),
        ("rights_refused", "excessive"),
    ]


def test_the_third_failed_check_is_mailed_as_a_refusal() -> None:
    asked = ask(identity_asked=True)
    for _ in range(3):
        fail_identity(asked.id, "support")
    assert kinds() == ["received", "refused"]
    assert mails()[-1].values["why"] == "not_identified"


def test_a_person_who_withdraws_is_not_mailed_again() -> None:
    withdraw_data_request(ask().id, "person")
    assert kinds() == ["received"]


def test_results_go_to_the_principal_and_not_to_the_agent() -> None:
    ask(via=RequestVia.AGENT, agent=Agent("Max", "max@agents.example"))
    assert [mail.recipient for mail in mails()] == [ADA]


def test_a_person_without_an_email_address_needs_a_letter_and_the_step_shows_it() -> None:
    asked = ask(addresses=(NUMBER,))
    assert mails() == []
    assert list_steps(asked.id)[0].detail["mail"] is None


def test_an_agents_request_asks_the_person_first() -> None:
    ask(RequestKind.ACCESS, via=RequestVia.AGENT, agent=Agent("Data Rights Ltd", "a@dr.example"))
    [mail] = mails()
    assert (mail.kind, mail.recipient) == ("rights_agent_asked", ADA)
    assert "/rights/authority/" in mail.values["link"]
    assert mail.values["agent"] == "Data Rights Ltd"


def test_what_is_done_at_once_is_mailed_once() -> None:
    objected = ask(RequestKind.OBJECT)
    restricted = ask(RequestKind.RESTRICT, level=CONTROLS)
    closed = ask(RequestKind.CLOSE, level=CONTROLS)
    assert {objected.state, restricted.state, closed.state} == {RequestState.DONE}
    assert kinds() == ["done", "done", "done"]


def test_the_last_notice_of_an_erasure_outlives_what_it_erased() -> None:  # I6
    asked = ask(RequestKind.ERASE, extent=Extent.MARKETING, level=CONTROLS)
    assert asked.state is RequestState.DONE
    assert [(mail.kind, mail.recipient) for mail in mails()] == [("rights_done", ADA)]
    assert rows("SELECT sealed FROM rights_request") == [(None,)]
    assert "mail" not in list_steps(asked.id)[-1].detail  # it would look unsent


def test_a_refused_act_writes_no_mail() -> None:
    asked = ask(RequestKind.ERASE, addresses=(ADA, NUMBER), level=CONTROLS)
    with pytest.raises(Exception, match="confirm who the person is"):
        complete_data_request(asked.id, RequestOutcome.FULFILLED, "support")
    assert kinds() == ["received"]


def test_a_mail_goes_to_the_first_address_of_several() -> None:
    grace = parse_address("grace@example.com", Channel.EMAIL)
    ask(addresses=(NUMBER, grace, ADA))
    assert [mail.recipient for mail in mails()] == [grace]
