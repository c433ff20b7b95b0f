"""What an agent asks for waits for the person, or for staff; an objection does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import ExpiredLink, InvalidInput
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.outbox import BY_AGENT
from preference_center.rights import emails
from preference_center.rights.requests import agents, files, handle
from preference_center.rights.requests.clocks import run_clocks
from preference_center.rights.requests.steps import list_steps, load_request
from preference_center.rights.rules.identity import ProofFile, ProofKind
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import Agent
from preference_center.rights.rules.requests import (
    Extent,
    IdentityLevel,
    RequestKind,
    RequestState,
    RequestVia,
)
from tests.clock import Clock
from tests.rights.asking import ADA, actions, new, rows
from tests.rights.decisions import INVOICE, WEEKLY
from tests.rights.decisions import ask as decide
from tests.rights.requests.test_closings import WORK, know
from tests.rights.requests.test_emails import mails

pytestmark = pytest.mark.usefixtures("can_mail")
DAY = timedelta(days=1)
FIRM = Agent("Data Rights Ltd", "cases@dr.example")
PDF = ProofFile(b"%PDF-1.7 I, Ada, let them", "application/pdf", ProofKind.POWER_OF_ATTORNEY)
HEIR = ProofFile(b"\xff\xd8\xff\xe0 scan", "image/jpeg", ProofKind.HEIR)


def ask(
    kind: RequestKind = RequestKind.ACCESS, files: tuple[ProofFile, ...] = (), **given: Any
) -> RightsRequest:
    fields = {"via": RequestVia.AGENT, "agent": FIRM}
    return agents.ask_for_principal(new(kind, **fields | given), files)


def state(request: RightsRequest) -> RequestState:
    return load_request(request.id).state


def sent() -> list[tuple[str, str]]:
    return sorted((mail.kind.value, mail.recipient.exact) for mail in mails())


def test_it_waits_for_the_person_who_is_asked_by_mail() -> None:
    asked = ask()
    assert (asked.state, asked.level) == (RequestState.IDENTIFYING, IdentityLevel.NONE)
    assert asked.stopped_at is not None
    assert sent() == [("rights_agent_asked", "ada@example.com")]


def test_the_person_confirms_it_once(clock: Clock) -> None:
    asked = ask(RequestKind.RESTRICT)
    clock.advance(DAY)
    assert agents.confirm_by_principal(asked.id).state is RequestState.DONE
    assert agents.confirm_by_principal(asked.id).state is RequestState.DONE
    assert agents.refuse_by_principal(asked.id).state is RequestState.DONE
    assert not decide(WEEKLY, ADA).allow
    assert ("rights_done", "ada@example.com") in sent()
    assert "cases@dr.example" not in str(sent())


def test_the_person_refuses_it() -> None:
    asked = ask(RequestKind.ERASE, extent=Extent.MARKETING)
    assert agents.refuse_by_principal(asked.id).state is RequestState.WITHDRAWN
    assert agents.confirm_by_principal(asked.id).state is RequestState.WITHDRAWN
    assert rows("SELECT count(*) FROM erasure") == [(0,)]


def test_an_answer_after_a_week_is_too_late(clock: Clock) -> None:
    asked = ask()
    clock.advance(7 * DAY + timedelta(seconds=1))
    for answer in (agents.confirm_by_principal, agents.refuse_by_principal):
        with pytest.raises(ExpiredLink):
            answer(asked.id)
    assert state(asked) is RequestState.IDENTIFYING


def test_sale_and_sharing_are_off_at_once() -> None:  # 11 CCR 7026
    assert ask(RequestKind.DONT_SELL_OR_SHARE).state is RequestState.DONE
    assert rows("SELECT kind, scope FROM event") == [("opted_out", "sharing")]
    assert decide(WEEKLY, ADA).allow  # I4


def test_an_objection_counts_at_once() -> None:  # I2
    assert ask(RequestKind.OBJECT).state is RequestState.DONE
    assert not decide(WEEKLY, ADA).allow
    assert decide(INVOICE, ADA).allow  # I4


@pytest.mark.parametrize("kind", [kind for kind in RequestKind if kind is not RequestKind.MINOR])
def test_a_hostile_agent_achieves_a_pause_at_most(clock: Clock, kind: RequestKind) -> None:
    asked = ask(kind, (PDF,), text="Do it now!")
    for _ in range(60):
        run_clocks(clock.advance(DAY))
    assert state(asked) is not RequestState.DONE
    kinds = {row[0] for row in rows("SELECT kind FROM event")}
    opts_out = kind in {RequestKind.OBJECT, RequestKind.DONT_SELL_OR_SHARE}
    assert kinds == ({"opted_out"} if opts_out else set())
    assert decide(INVOICE, ADA).allow
    assert rows("SELECT count(*) FROM erasure") == [(0,)]
    assert rows("SELECT count(*) FROM rights_file") == [(0,)]
    assert {mail.recipient for mail in mails()} <= {
        ADA, parse_address("privacy@acme.example", Channel.EMAIL)
    }  # fmt: skip


def test_the_person_is_reminded_once_at_half_of_the_time(clock: Clock) -> None:
    asked = ask()
    for _ in range(20):
        run_clocks(clock.advance(DAY / 2))
    assert actions(asked).count("authority_reminded") == 1
    reminder = next(s for s in list_steps(asked.id) if s.action == "authority_reminded")
    assert reminder.at - asked.recorded_at == 3.5 * DAY
    assert [kind for kind, _ in sent()].count("rights_agent_asked") == 2


def test_a_reminder_that_fails_is_logged_and_holds_up_no_other(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ask(RequestKind.CORRECT), ask(RequestKind.CLOSE)
    insert_reminder = emails.insert_reminder

    def insert(connection: Connection, request: RightsRequest) -> UUID | None:
        if request.id == first.id:
            raise ValueError
        return insert_reminder(connection, request)

    monkeypatch.setattr(emails, "insert_reminder", insert)
    with capture_logs() as logs:
        run_clocks(clock.advance(4 * DAY))
    assert [each["request"] for each in logs if "clock_failed" in each["event"]] == [str(first.id)]
    assert "authority_reminded" in actions(second)


def test_who_has_answered_is_not_reminded(clock: Clock) -> None:
    confirmed, refused = ask(RequestKind.CORRECT), ask(RequestKind.CLOSE)
    agents.confirm_by_principal(confirmed.id)
    agents.refuse_by_principal(refused.id)
    run_clocks(clock.advance(4 * DAY))
    assert "authority_reminded" not in actions(confirmed) + actions(refused)


def test_confirming_proves_the_address_and_no_more() -> None:
    know(ADA, WORK)
    asked = ask(RequestKind.ERASE, extent=Extent.ACCOUNT)
    assert agents.confirm_by_principal(asked.id).state is RequestState.IDENTIFYING


def test_a_power_of_attorney_that_staff_accept_stands_for_the_person() -> None:
    asked = ask(RequestKind.RESTRICT, (PDF,))
    assert agents.accept_authority(asked.id, "compliance").state is RequestState.DONE
    assert {to for _, to in sent()} == {"ada@example.com"}


def test_results_go_to_the_agent_too_only_if_the_authority_says_so() -> None:
    asked = ask(RequestKind.RESTRICT, (HEIR,))
    agents.accept_authority(asked.id, "compliance", results_to_agent=True)
    assert sent() == [
        ("rights_agent_asked", "ada@example.com"),
        ("rights_done", "ada@example.com"),
        ("rights_done", "cases@dr.example"),
    ]
    by_agent = {mail.recipient.exact: mail.values.get(BY_AGENT) for mail in mails()}
    assert by_agent == {"ada@example.com": "Data Rights Ltd", "cases@dr.example": None}


def test_without_a_file_there_is_nothing_to_accept() -> None:
    asked = ask(RequestKind.RESTRICT)
    with pytest.raises(InvalidInput, match="no file"):
        agents.accept_authority(asked.id, "compliance")
    agents.add_proof(asked.id, PDF, "compliance")
    assert agents.accept_authority(asked.id, "compliance").state is RequestState.DONE


def test_a_rejected_file_leaves_it_to_the_person() -> None:
    asked = ask(RequestKind.RESTRICT, (PDF,))
    assert agents.reject_authority(asked.id, "compliance").state is RequestState.IDENTIFYING
    assert agents.confirm_by_principal(asked.id).state is RequestState.DONE


def test_only_requests_of_agents_have_an_authority() -> None:
    own = handle.open_request(new(RequestKind.RESTRICT), "person")
    for act in (agents.accept_authority, agents.reject_authority):
        with pytest.raises(InvalidInput, match="no agent"):
            act(own.id, "compliance")


def test_files_are_sealed_and_go_after_90_days(clock: Clock) -> None:
    asked = ask(files=(PDF, HEIR))
    found = run_in_transaction(lambda c: files.list_proofs(c, asked.id))
    stored = sorted(found, key=lambda each: each.kind, reverse=True)
    assert [(each.kind, each.type, each.size_bytes) for each in stored] == [
        ("power_of_attorney", "application/pdf", len(PDF.content)),
        ("heir", "image/jpeg", len(HEIR.content)),
    ]
    [sealed] = rows("SELECT content FROM rights_proof WHERE kind = 'heir'")
    assert HEIR.content not in bytes(sealed[0])
    read = run_in_transaction(
        lambda c: files.load_content(c, services().keys, asked.id, stored[0].id)
    )
    assert read == PDF.content
    for days, left in ((89, 2), (1, 0)):
        now = clock.advance(days * DAY)
        run_in_transaction(lambda c, at=now: files.purge_proofs(c, at))  # type: ignore[misc]
        assert rows("SELECT count(*) FROM rights_proof") == [(left,)]


def test_a_bad_file_stores_nothing_at_all() -> None:
    zipped = ProofFile(b"PK\x03\x04", "application/pdf", ProofKind.HEIR)
    large = ProofFile(b"%PDF-" + b"x" * 5_000_000, "application/pdf", ProofKind.HEIR)
    for refused in ((PDF, zipped), (large,), (PDF,) * 4):
        with pytest.raises(InvalidInput):
            ask(RequestKind.OBJECT, refused)
    assert rows("SELECT count(*) FROM rights_request") == [(0,)]
    assert rows("SELECT count(*) FROM event") == [(0,)]


def test_a_request_has_three_files_however_often_it_comes() -> None:
    asked = ask(files=(PDF, PDF))
    assert ask(files=(HEIR, HEIR)).id == asked.id
    assert rows("SELECT count(*) FROM rights_proof") == [(3,)]
    with pytest.raises(InvalidInput, match="3 files"):
        agents.add_proof(asked.id, PDF, "compliance")


def test_the_person_is_asked_about_every_agent() -> None:
    """One agent's request is no repeat of another's, nor of the person's own."""
    own = handle.open_request(new(RequestKind.ERASE))
    first, other, again = (
        ask(RequestKind.ERASE, agent=agent)
        for agent in (FIRM, Agent("Eve", "eve@dr.example"), FIRM)
    )
    assert len({own.id, first.id, other.id}) == 3
    assert again.id == first.id


def test_asking_oneself_confirms_no_agent() -> None:
    by_agent = ask()
    own = handle.open_request(new(level=IdentityLevel.CONTACT), "person")
    assert own.id != by_agent.id
    assert state(by_agent) is RequestState.IDENTIFYING


def test_who_does_not_answer_is_asked_twice_and_mailed_nothing_more(clock: Clock) -> None:
    asked = ask()
    for _ in range(70):
        run_clocks(clock.advance(DAY))
    assert state(asked) is RequestState.LAPSED
    assert sent() == [("rights_agent_asked", "ada@example.com")] * 2
