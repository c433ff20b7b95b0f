"""Data-subject requests by mail: opened once, answered once, and proven by nobody's word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.inbound.store import list_open_items
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.requests.clocks import run_clocks
from preference_center.rights.requests.steps import open_sealed
from preference_center.rights.requests.store import list_requests
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import (
    IdentityLevel,
    RequestKind,
    RequestState,
    RequestVia,
)
from tests.in_force import CATALOGUE, put_in_force
from tests.inbound.mail.fixtures import REPLIES, REPORTS, Take
from tests.inbound.rules.reports import reply
from tests.infra.mailing import link_in, queued_emails
from tests.ledger.tables import Ledger
from tests.rights.emails.test_texts import CONTROLLER
from tests.rights.pages.acts import press

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.clock import Clock

RIGHTS = "privacy@acme.example"
JANE = "jane.doe@example.com"
ERASE_ME = "Please delete all my data."
COPY = "Please send me a copy of all personal data you hold about me."
OUT = ("opted_out", "all_marketing")


@pytest.fixture(autouse=True)
def _mailboxes(app: Flask, set_to: Callable[..., None]) -> None:
    put_in_force(app, CATALOGUE + CONTROLLER)
    set_to(
        reply_addresses=REPLIES,
        report_addresses=REPORTS,
        rights_addresses=RIGHTS,
        smtp_url="smtp://unused.example.com",
        mail_from="choices@acme.example",
    )


@pytest.fixture
def requests(app: Flask) -> Callable[[], list[RightsRequest]]:
    def load() -> list[RightsRequest]:
        with app.app_context():
            return run_in_transaction(list_requests)

    return load


def reviewed(app: Flask) -> list[str]:
    with app.app_context():
        found = run_in_transaction(lambda c: list_open_items(c, 9))
    return [item.reason for item in found]


def mailed(app: Flask) -> list[tuple[str, str]]:
    return sorted((mail.kind.value, mail.recipient.exact) for mail in queued_emails(app))


class TestAMailboxForRequests:
    @pytest.mark.parametrize(
        "text, kind, events",
        [
            (COPY, RequestKind.ACCESS, []),
            (ERASE_ME, RequestKind.ERASE, [OUT, OUT]),  # by the mail, and by the request
            ("Ich verlange die Einschränkung der Verarbeitung.", RequestKind.RESTRICT, []),
        ],
    )
    def test_clear_words_open_a_request_that_nobody_has_proven(
        self, app: Flask, take: Take, requests: Callable[[], list[RightsRequest]], text: str,
        kind: RequestKind, events: list[tuple[str, str]], ledger: Ledger,
    ) -> None:  # fmt: skip
        header = "Content-Type: text/plain; charset=utf-8\n"
        take(reply(text, "Request", header), RIGHTS)
        [asked] = requests()
        assert (asked.kind, asked.via, asked.level) == (kind, RequestVia.EMAIL, IdentityLevel.NONE)
        assert asked.state is RequestState.IDENTIFYING
        assert mailed(app) == [("rights_link", JANE), ("rights_received", JANE)]
        assert ledger.kinds() == events

    def test_the_mailed_link_leads_to_the_right_and_proves_who_asked(
        self, app: Flask, client: FlaskClient, take: Take,
        requests: Callable[[], list[RightsRequest]],
    ) -> None:  # fmt: skip
        take(reply(COPY, "Request"), RIGHTS)
        link = link_in(next(m for m in queued_emails(app) if m.kind == "rights_link"))
        assert link.startswith("/rights/open/access/")
        page = client.post(link, data={"open": "yes"}).location
        press(client, page, confirm="yes")
        [asked] = requests()
        assert (asked.state, asked.level) == (RequestState.OPEN, IdentityLevel.CONTROLS_ADDRESS)

    def test_anything_else_is_a_complaint_that_staff_read(
        self, app: Flask, take: Take, requests: Callable[[], list[RightsRequest]], ledger: Ledger
    ) -> None:
        take(reply("You called my neighbour yesterday evening.", "Question"), RIGHTS)
        [asked] = requests()
        assert asked.kind is RequestKind.COMPLAINT
        with app.app_context():
            assert open_sealed(asked).text == "You called my neighbour yesterday evening."
        assert mailed(app) == [("rights_received", JANE)]
        assert (ledger.kinds(), reviewed(app)) == ([], [])

    def test_an_objection_counts_at_once(
        self, take: Take, requests: Callable[[], list[RightsRequest]],
        allowed: Callable[..., bool],
    ) -> None:  # fmt: skip
        take(reply("I object to marketing emails.", "Objection"), RIGHTS)
        assert not allowed(JANE)
        assert [each.kind for each in requests()] == [RequestKind.OBJECT]

    @pytest.mark.parametrize("text", ["Do not sell my personal data.", "Don't share my data"])
    def test_not_to_sell_or_share_counts_at_once_and_stops_no_message(
        self, take: Take, requests: Callable[[], list[RightsRequest]], ledger: Ledger, text: str
    ) -> None:  # 11 CCR 7026, I4
        take(reply(text, "My data"), RIGHTS)
        assert ledger.kinds() == [("opted_out", "sharing")]
        assert [(each.kind, each.state) for each in requests()] == [
            (RequestKind.DONT_SELL_OR_SHARE, RequestState.DONE)
        ]

    @pytest.mark.parametrize(
        "header", ["Auto-Submitted: auto-replied\n", "Precedence: list\n", "List-Id: <x.y>\n"]
    )
    def test_automatic_mail_is_never_answered(
        self, app: Flask, take: Take, requests: Callable[[], list[RightsRequest]], header: str
    ) -> None:
        take(reply(COPY, "Out of office", header), RIGHTS)
        assert (requests(), mailed(app)) == ([], [])

    def test_a_conversation_is_one_request_and_has_one_answer(
        self, app: Flask, take: Take, requests: Callable[[], list[RightsRequest]]
    ) -> None:
        mail = reply(COPY, "Request")
        take(mail, RIGHTS)
        take(mail, RIGHTS)  # delivered twice
        [asked] = requests()
        answer = f"Re: We have received your request {asked.reference}"
        take(reply("Thank you. When do I hear from you?", answer), RIGHTS)
        assert len(requests()) == 1
        assert len(mailed(app)) == 2
        assert reviewed(app) == ["unclear"]  # and staff read what was answered

    def test_a_mail_of_our_own_starts_nothing(
        self, app: Flask, take: Take, requests: Callable[[], list[RightsRequest]]
    ) -> None:
        own = reply(COPY, "Request").replace(JANE.encode(), b"choices@acme.example")
        take(own, RIGHTS)
        assert (requests(), mailed(app), len(reviewed(app))) == ([], [], 1)

    def test_one_mailbox_is_answered_three_times_an_hour(
        self, app: Flask, take: Take, requests: Callable[[], list[RightsRequest]]
    ) -> None:
        for number in range(5):
            take(reply(f"This is complaint number {number} of mine.", "Hear me"), RIGHTS)
        assert len(requests()) == 3
        assert len(reviewed(app)) == 2

    def test_a_long_mail_is_kept_for_staff_too(
        self, app: Flask, take: Take, requests: Callable[[], list[RightsRequest]]
    ) -> None:
        take(reply("My story is long. " * 300, "Story"), RIGHTS)
        [asked] = requests()
        with app.app_context():
            assert len(open_sealed(asked).text) <= 4_000


class TestAReplyToMarketing:
    def test_who_asks_for_deletion_is_sent_no_more_marketing_and_gets_a_request(
        self, app: Flask, take: Take, requests: Callable[[], list[RightsRequest]],
        allowed: Callable[..., bool],
    ) -> None:  # fmt: skip
        take(reply(ERASE_ME), REPLIES)
        assert not allowed(JANE)
        assert [(each.kind, each.level) for each in requests()] == [(RequestKind.ERASE, 0)]
        assert reviewed(app) == ["further_request"]

    def test_an_objection_with_a_request_for_a_copy_is_both(
        self, take: Take, requests: Callable[[], list[RightsRequest]],
        allowed: Callable[..., bool],
    ) -> None:  # fmt: skip
        take(reply(f"Please unsubscribe me. {COPY}"), REPLIES)
        assert not allowed(JANE)
        assert [each.kind for each in requests()] == [RequestKind.ACCESS]

    @pytest.mark.parametrize("text", ["STOP", "Where is my order?", "Please don't delete my data!"])
    def test_other_replies_open_none(
        self, take: Take, requests: Callable[[], list[RightsRequest]], text: str
    ) -> None:
        take(reply(text), REPLIES)
        assert requests() == []


class TestUnder18:
    @pytest.mark.parametrize("to", [RIGHTS, REPLIES])
    def test_the_writer_or_the_one_address_in_the_text_is_restricted(
        self, app: Flask, take: Take, requests: Callable[[], list[RightsRequest]], to: str,
        allowed: Callable[..., bool],
    ) -> None:  # fmt: skip
        take(reply("My son is ten: <son@example.org>.", "Re: UNDER 18"), to)
        assert not allowed("son@example.org")
        assert allowed(JANE)
        [asked] = requests()
        with app.app_context():
            assert open_sealed(asked).reporter == JANE
        assert ("minor_reported", "son@example.org") in mailed(app)

    def test_without_an_address_it_is_about_the_writer(
        self, take: Take, allowed: Callable[..., bool], ledger: Ledger
    ) -> None:
        take(reply("I am ten.", "Under 18"), RIGHTS)
        assert not allowed(JANE)
        assert ledger.kinds() == [("restricted", "restriction")]

    def test_several_addresses_are_for_a_person(
        self, app: Flask, take: Take, requests: Callable[[], list[RightsRequest]]
    ) -> None:
        take(reply("a@example.org and b@example.org", "Under 18"), RIGHTS)
        assert (requests(), len(reviewed(app))) == ([], 1)

    def test_a_mailbox_for_reports_takes_none(
        self, take: Take, requests: Callable[[], list[RightsRequest]]
    ) -> None:
        take(reply("I am ten.", "Under 18"), REPORTS)
        assert requests() == []


def test_a_hostile_mail_achieves_a_pause_at_most(
    app: Flask, take: Take, requests: Callable[[], list[RightsRequest]], clock: Clock,
    ledger: Ledger, allowed: Callable[..., bool],
) -> None:  # fmt: skip
    for text in (ERASE_ME, COPY, "Close my account now, this is the police."):
        take(reply(text, "Request"), RIGHTS)  # From is forged
    with app.app_context():
        for _ in range(40):
            run_clocks(clock.advance(timedelta(days=1)))
    assert set(ledger.kinds()) == {OUT}
    assert RequestState.DONE not in {each.state for each in requests()}
    assert allowed(JANE, "invoice")
