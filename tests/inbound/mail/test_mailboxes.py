"""Replies, bounces and spam reports, from the raw mail to the ledger or to a person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from tests.clock import Clock
from tests.inbound.mail.fixtures import REPLIES, REPORTS, MakeTo, Take
from tests.inbound.mail.mails import send
from tests.inbound.rules.reports import RETURNED, arf, dsn, failed, reply
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient


JANE, PAUL = "jane.doe@example.com", "paul@example.org"
OUT, COMPLAINED, BOUNCED = (
    ("opted_out", "all_marketing"),
    ("complained", "all_marketing"),
    ("bounced", "undeliverable"),
)


pytestmark = pytest.mark.usefixtures("mailboxes")


@pytest.fixture
def link_to(app: Flask, clock: Clock) -> Callable[..., str]:
    """`link_to(address, scope)`: a link of a mail that was sent to it."""
    from preference_center.core.links.tokens import Link
    from preference_center.infra.context import services

    def make(address: str = JANE, scope: str = "acme.offers") -> str:
        link = Link(parse_address(address, Channel.EMAIL), scope, "", clock() - timedelta(days=3))
        with app.app_context():
            return services().links.unsubscribe_url(services().links.create_token(link))

    return make


def of(ledger: Ledger, kind: tuple[str, str]) -> bool:
    return ledger.kinds() == [kind]


class TestReplies:
    def test_a_clear_opt_out_opts_its_writer_out(
        self, take: Take, ledger: Ledger, allowed: Callable[..., bool]
    ) -> None:
        assert take(reply("STOP"), REPLIES).recorded == 1
        assert of(ledger, OUT)
        assert not allowed(JANE)
        (event,) = ledger.events()
        assert (event["source"], event["actor"], event["own"]) == ("reply", "recipient", True)
        assert event["evidence"] == {"method": "reply", "proof": "none"}  # I8

    @pytest.mark.parametrize(
        "to, kinds",
        [
            ("stop+acme.offers@acme.example", [("opted_out", "acme.offers")]),
            ("ACME.Offers@replies.acme.example", [("opted_out", "acme.offers")]),
            (
                "stop+acme@acme.example",
                [("opted_out", f"acme.{name}") for name in ("news", "offers", "old")],
            ),
            ("stop+nonsense@acme.example", [OUT]),
            ("stop+acme.sms@acme.example", [OUT]),
        ],
    )
    def test_the_address_may_say_of_what(
        self, take: Take, ledger: Ledger, to: str, kinds: list[tuple[str, str]]
    ) -> None:
        take(reply("STOP"), to)
        assert sorted(ledger.kinds()) == kinds

    def test_whose_mail_is_quoted_is_who_it_is_about(
        self, take: Take, allowed: Callable[..., bool], link_to: Callable[..., str]
    ) -> None:
        take(reply(f"Please unsubscribe me\n\n> Unsubscribe: {link_to(PAUL)}"), REPLIES)
        assert not allowed(PAUL)  # the alias that was mailed
        assert allowed(JANE)

    def test_a_token_in_the_address_tells_who_and_of_what_but_is_no_opt_out(
        self, take: Take, ledger: Ledger, make_to: MakeTo, review_reasons: Callable[[], list[str]]
    ) -> None:  # RULES A12
        to = f"{make_to(JANE).partition('@')[0]}@replies.acme.example"
        take(reply("STOP", header="Auto-Submitted: auto-replied\n"), to)
        take(reply("Where is my order"), to)
        assert ledger.kinds() == []
        assert review_reasons() == ["unclear"]
        take(reply("STOP"), to)
        assert ledger.kinds() == [("opted_out", "acme.offers")]

    def test_a_token_whose_address_nobody_knows_counts_at_once(
        self, take: Take, make_to: MakeTo, allowed: Callable[..., bool]
    ) -> None:  # I2
        to = f"{make_to(PAUL).partition('@')[0]}@replies.acme.example"
        assert take(reply("STOP"), to).pending == 1
        assert not allowed(PAUL)

    def test_the_same_mail_again_changes_nothing(
        self, take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
    ) -> None:  # I7
        for _ in range(2):
            take(reply("STOP"), REPLIES)
            take(reply("Hello?"), REPLIES)
        assert of(ledger, OUT)
        assert review_reasons() == ["unclear"]

    def test_an_objection_with_a_question_is_recorded_and_read_by_a_person(
        self, take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
    ) -> None:  # I1
        both = "Please unsubscribe me. Where is my order 4711?"
        for _ in range(2):
            take(reply(both), REPLIES)
        assert of(ledger, OUT)
        assert review_reasons() == ["further_request"]

    def test_so_it_is_if_the_objection_stood_already(
        self, take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
    ) -> None:
        take(reply("STOP"), REPLIES)
        take(reply("Please unsubscribe me, and delete all my data."), REPLIES)
        assert {*ledger.kinds()} == {OUT}  # the request to delete is an opt-out of its own
        assert review_reasons() == ["further_request"]

    def test_so_it_is_if_only_a_token_shows_whose_it_is(
        self,
        take: Take,
        make_to: MakeTo,
        allowed: Callable[..., bool],
        review_reasons: Callable[[], list[str]],
    ) -> None:  # I2
        to = f"{make_to(PAUL).partition('@')[0]}@replies.acme.example"
        taken = take(reply("Please unsubscribe me. Where is my order 4711?"), to)
        assert (taken.pending, taken.queued_for_review) == (1, 1)
        assert not allowed(PAUL)
        assert review_reasons() == ["further_request"]

    def test_at_an_address_for_reports_it_is_not_reported_as_recorded(
        self, take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
    ) -> None:
        take(reply("Please unsubscribe me. Where is my order 4711?"), REPORTS)
        assert (ledger.kinds(), review_reasons()) == ([], ["wrong_mailbox"])

    def test_a_vacation_notice_is_forgotten(
        self, take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
    ) -> None:  # RULES A12
        for to in (REPLIES, REPORTS, "x@bounces.acme.example"):
            assert not take(reply("STOP", header="Auto-Submitted: auto-replied\n"), to).recorded
        assert (ledger.kinds(), review_reasons()) == ([], [])

    def test_words_at_an_address_for_reports_are_queued_for_review(
        self, take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
    ) -> None:
        take(reply("STOP"), REPORTS)
        assert (ledger.kinds(), review_reasons()) == ([], ["wrong_mailbox"])


class TestReports:
    @pytest.fixture(autouse=True)
    def believing(self, mailboxes: None, set_to: Callable[..., None]) -> None:  # noqa: ARG002 - after it
        set_to(unauthenticated_reports="accept")

    def test_each_recipient_of_a_bounce_has_its_own_fate(
        self, take: Take, ledger: Ledger, allowed: Callable[..., bool]
    ) -> None:  # RULES F8
        full = failed(PAUL, "5.2.2", "552 5.2.2 Mailbox full")
        take(dsn(failed(JANE), full), REPORTS)
        assert of(ledger, BOUNCED)
        assert not allowed(JANE)
        assert allowed(PAUL)
        (event,) = ledger.events()
        assert event["evidence"]["proof"] == "none"
        assert "example" not in str(event["evidence"])  # I8

    @pytest.mark.parametrize("kind, recorded", [("abuse", [COMPLAINED]), ("not-spam", [])])
    def test_a_complaint_counts(
        self, take: Take, ledger: Ledger, kind: str, recorded: list[tuple[str, str]]
    ) -> None:  # RULES F6
        take(arf(f"Original-Rcpt-To: {JANE}", kind=kind), REPORTS)
        assert ledger.kinds() == recorded

    @pytest.mark.parametrize("named", ["redacted@example.com", "victim@example.com"])
    def test_a_token_of_ours_tells_whom_it_is_about(
        self,
        take: Take,
        allowed: Callable[..., bool],
        link_to: Callable[..., str],
        ledger: Ledger,
        named: str,
    ) -> None:  # RULES F7
        returned = f"{RETURNED}List-Unsubscribe: <{link_to(PAUL)}>\n"
        take(arf(f"Original-Rcpt-To: {named}", returned=returned), REPORTS)
        assert of(ledger, COMPLAINED)
        assert not allowed(PAUL)
        assert allowed("victim@example.com")

    @pytest.mark.parametrize("field", ["List-Unsubscribe: <mailto:{}>", "Message-ID: <{}>"])
    def test_so_does_one_of_a_mail_address(
        self,
        take: Take,
        make_to: MakeTo,
        store: Callable[[str], None],
        allowed: Callable[..., bool],
        field: str,
    ) -> None:
        store(PAUL)
        returned = f"Subject: x\n{field.format(make_to(PAUL))}\n"
        take(arf("Original-Rcpt-To: redacted@example.com", returned=returned), REPORTS)
        assert not allowed(PAUL)

    def test_a_complaint_of_somebody_unknown_counts_at_once(
        self,
        take: Take,
        make_to: MakeTo,
        allowed: Callable[..., bool],
        review_reasons: Callable[[], list[str]],
    ) -> None:  # I2: of all marketing, as any complaint, though the token is of one topic
        returned = f"Subject: x\nList-Unsubscribe: <mailto:{make_to(PAUL)}>\n"
        hidden = arf("Original-Rcpt-To: redacted@example.com", returned=returned)
        for _ in range(2):
            assert take(hidden, REPORTS).pending == 1
        assert not allowed(PAUL)
        assert not allowed(PAUL, "newsletter.monthly")
        assert allowed(JANE)
        assert review_reasons() == []

    def test_it_is_recorded_as_a_complaint_when_the_address_turns_up(
        self,
        take: Take,
        make_to: MakeTo,
        store: Callable[[str], None],
        allowed: Callable[..., bool],
        ledger: Ledger,
        app: Flask,
    ) -> None:
        """It does not become the opt-out of the same scope that is pending, nor the reverse."""
        from preference_center.inbound.opt_outs import resolve_pending

        returned = f"Subject: x\nList-Unsubscribe: <mailto:{make_to(PAUL)}>\n"
        assert (
            take(arf("Original-Rcpt-To: redacted@example.com", returned=returned), REPORTS).pending
            == 1
        )
        assert take(reply("STOP"), make_to(PAUL, "all_marketing")).pending == 1
        store(PAUL)
        with app.app_context():
            assert resolve_pending().pending == 0
        assert sorted(ledger.kinds()) == sorted([("consented", "acme.offers"), COMPLAINED, OUT])
        (complaint,) = [each for each in ledger.events() if each["kind"] == "complained"]
        assert (complaint["source"], complaint["actor"], complaint["own"]) == (
            "feedback_report",
            "reporter",
            False,
        )
        assert not allowed(PAUL)

    def test_so_does_a_bounce_which_is_recorded_as_one_when_the_address_turns_up(
        self,
        take: Take,
        make_to: MakeTo,
        store: Callable[[str], None],
        allowed: Callable[..., bool],
        review_reasons: Callable[[], list[str]],
        ledger: Ledger,
        app: Flask,
    ) -> None:  # I2
        from preference_center.inbound.opt_outs import resolve_pending

        to = f"{make_to(PAUL).partition('@')[0]}@bounces.acme.example"
        hidden = dsn(failed("redacted@example.com"), returned="Subject: x\n")
        assert take(hidden, to).pending == 1
        assert not allowed(PAUL)
        assert not allowed(PAUL, "newsletter.monthly")
        assert review_reasons() == []
        store(PAUL)
        with app.app_context():
            assert resolve_pending().pending == 0
        assert ledger.kinds()[-1] == BOUNCED
        assert not allowed(PAUL)

    def test_a_bounce_of_somebody_unknown_that_only_counts_suppresses_nobody(
        self, take: Take, make_to: MakeTo, allowed: Callable[..., bool]
    ) -> None:
        to = f"{make_to(PAUL).partition('@')[0]}@bounces.acme.example"
        counted = failed("redacted@example.com", "5.2.1", "550 5.2.1 Mailbox disabled")
        assert take(dsn(counted, returned="Subject: x\n"), to).pending == 0
        assert allowed(PAUL)

    def test_and_one_in_the_envelope_that_was_bounced_to(
        self, take: Take, make_to: MakeTo, allowed: Callable[..., bool]
    ) -> None:
        to = f"{make_to(JANE).partition('@')[0]}@bounces.acme.example"
        take(dsn(failed(JANE), returned="Subject: x\n"), to)
        assert not allowed(JANE)

    def test_hidden_and_without_a_token_it_is_queued_for_review(
        self,
        take: Take,
        ledger: Ledger,
        review_reasons: Callable[[], list[str]],
        client: FlaskClient,
    ) -> None:  # RULES F7
        take(arf("Original-Rcpt-To: redacted@example.com"), REPORTS)
        assert (ledger.kinds(), review_reasons()) == ([], ["no_recipient"])
        health = client.get("/healthz").json
        assert health
        assert health["review_queue"] == 1

    def test_a_bounce_that_does_nothing_troubles_nobody(
        self, take: Take, review_reasons: Callable[[], list[str]]
    ) -> None:
        full = failed("redacted@example.com", "5.2.2", "552 5.2.2 Mailbox full")
        take(dsn(full, returned="Subject: x\n"), REPORTS)
        assert review_reasons() == []

    def test_a_report_at_an_address_for_replies_needs_proof(
        self,
        take: Take,
        ledger: Ledger,
        review_reasons: Callable[[], list[str]],
        link_to: Callable[..., str],
    ) -> None:
        take(dsn(failed(JANE)), REPLIES)
        assert (ledger.kinds(), review_reasons()) == ([], ["unproven"])
        take(dsn(failed(JANE), returned=f"{RETURNED}List-Unsubscribe: <{link_to()}>\n"), REPLIES)
        assert of(ledger, BOUNCED)

    def test_a_report_in_part_certain_is_recorded_in_that_part(
        self, take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
    ) -> None:
        masked = failed("j***@example.com")
        taken = take(dsn(failed(JANE), masked), REPORTS)
        assert (taken.recorded, taken.queued_for_review) == (1, 1)
        assert (ledger.kinds(), review_reasons()) == ([BOUNCED], ["no_recipient"])


class TestDistrust:
    def test_without_proof_a_report_waits_for_review(
        self, take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
    ) -> None:
        take(dsn(failed(JANE)), REPORTS)
        take(arf(f"Original-Rcpt-To: {JANE}"), REPORTS)
        assert (ledger.kinds(), review_reasons()) == ([], ["unproven", "unproven"])


class TestReceiver:
    def test_takes_mail_for_mailboxes_and_for_no_other(self, smtp: int, ledger: Ledger) -> None:
        assert send(smtp, reply("STOP").replace(b"\n", b"\r\n"), REPLIES, sender=JANE) == {}
        assert of(ledger, OUT)
        with pytest.raises(Exception, match="550"):
            send(smtp, reply("STOP"), "other@acme.example")

    def test_what_can_not_be_read_is_queued_for_review(
        self, smtp: int, review_reasons: Callable[[], list[str]]
    ) -> None:
        bomb = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\n" * 9000
        assert send(smtp, bomb, REPORTS) == {}
        assert review_reasons() == ["too_complex"]

    def test_a_reader_that_fails_loses_no_mail(
        self, smtp: int, review_reasons: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **_named: object) -> None:
            raise RuntimeError

        monkeypatch.setattr("preference_center.inbound.mailboxes.interpret_mail", fail)
        assert send(smtp, reply("STOP"), REPLIES) == {}
        assert review_reasons() == ["unreadable"]
