"""A bounce suppresses for a reason that was understood, and only whom the mail was to."""

from __future__ import annotations

import pytest

from preference_center.core.bounces import DeliverabilityPolicy, classify_bounce
from preference_center.inbound.rules import MailInterpretation, MailKind, ReviewReason
from preference_center.inbound.rules.interpret import interpret_mail
from tests.inbound.rules.reports import RETURNED, dsn, failed

JANE = "jane.doe@example.com"
OURS = "news@acme.example"


def effects(mail: bytes) -> dict[str, int]:
    """How many such bounces suppress each who is named; 0 is never."""
    return {
        statement.recipients[0]: DeliverabilityPolicy()
        .threshold_for(classify_bounce(statement.bounce).code)
        .events
        for statement in interpret_mail(mail, for_reports=True).statements
        if statement.bounce and statement.recipients
    }


REASONS = {
    "full": "552 5.2.2 Mailbox full",
    "spam": "554 5.7.1 This looks like spam",
    "listed": "554 5.7.1 192.0.2.9 is on the block list of example.org",
    "greylisted": "450 4.7.1 Greylisted, come back in five minutes",
    "timed out": "Network error on destination MXs",
    "refused": "Connection refused",
    "no tls": "TLS required but not supported by remote host",
    "a pipe": "mail.mda: command failed with status 75",
    "a line": "500 Line too long",
    "the sender's domain": "553 5.1.8 Sender's domain does not exist",
    "unheard of": "555 quux",
    "silent": "",
}


class TestPlainStatus:
    """OpenSMTPD gives 5.0.0 to everything, and its reason to people only."""

    @staticmethod
    def mail(reason: str) -> bytes:
        prose = (
            "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n\n"
            "    An error has occurred while attempting to deliver a message for\n"
            f"    the following list of recipients:\n\n{JANE}: {reason}\n"
        )
        return dsn(failed(JANE, "5.0.0", "", action="error"), prose=prose)

    @pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS)
    def test_any_other_reason_suppresses_nobody(self, reason: str) -> None:
        assert effects(self.mail(reason)) == {JANE: 0}

    @pytest.mark.parametrize(
        "reason",
        ["550 5.1.1 <jane.doe@example.com>: User unknown", "550 Invalid recipient"],
        ids=["with its code", "without one"],
    )
    def test_an_unknown_user_counts(self, reason: str) -> None:
        assert effects(self.mail(reason))[JANE] == (1 if "5.1.1" in reason else 2)


@pytest.mark.parametrize(
    "category, needed", [("bad-mailbox", 1), ("spam-related", 0), ("other", 0)]
)
def test_powermtas_category_is_the_vendors_result(category: str, needed: int) -> None:
    group = failed(JANE, "5.0.0", "550 quux") + f"X-PowerMTA-BounceCategory: {category}\n"
    assert effects(dsn(group)) == {JANE: needed}
    assert effects(dsn(group.replace("5.0.0", "5.2.1"))) == {JANE: 2}  # disabled, it may return


def plain(prose: str, returned: str = RETURNED, subject: str = "Delivery failed") -> bytes:
    """A report in a form of the system's own, that flufl.bounce knows."""
    return (
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nTo: bounces@acme.example\n"
        f"Subject: {subject}\n\n{prose}\n\n--- Below this line is a copy of the message.\n\n"
        f"{returned}\n"
    ).encode()


QMAIL = "Hi. This is the qmail-send program at mx.example.net.\n\n"


@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS)
def test_that_it_failed_is_no_reason(reason: str) -> None:
    assert effects(plain(f"{QMAIL}<{JANE}>:\n{reason}")) == {JANE: 0}


def test_words_of_another_server_need_its_code_or_the_command_that_it_refused() -> None:
    words = f"{QMAIL}<{JANE}>:\nRemote host said: 550 user unknown"
    assert effects(plain(words)) == {JANE: 2}
    assert effects(plain(words.replace("550", "550 5.1.1"))) == {JANE: 1}
    at_rcpt = words.replace("Remote", "192.0.2.1 does not like recipient.\nRemote")
    assert effects(plain(at_rcpt)) == {JANE: 1}


def test_yahoos_answer_without_its_code_is_anothers() -> None:
    assert effects(plain(f"{QMAIL}<{JANE}>:\nThis user doesn't have a yahoo.com account")) == {
        JANE: 2
    }


def test_what_the_system_found_itself_needs_nothing_else() -> None:
    assert effects(plain(f"{QMAIL}<{JANE}>:\nSorry, no mailbox here by that name.")) == {JANE: 1}


@pytest.mark.parametrize(
    "other", [OURS, "1@acme.example", "bounces@acme.example", "MAILER-DAEMON@mx.example.net"]
)
def test_sender_message_id_and_reader_are_no_recipients(other: str) -> None:
    words = f"{QMAIL}<{other}>:\n550 5.1.1 user unknown"
    assert effects(plain(words)) == {}
    assert effects(plain(words, returned="Subject: Offers\nFrom: news@acme.example\n")) == (
        {other: 1} if other == "1@acme.example" else {}
    )
    assert effects(dsn(failed(other.replace("bounces@acme", "bounces@stop.acme")))) == (
        {} if "bounces" not in other else {"bounces@stop.acme.example": 1}
    )


def test_whoever_mails_themselves_is_a_recipient() -> None:
    returned = f"From: {JANE}\nTo: {JANE}\nMessage-ID: <1@acme.example>\n"
    assert effects(dsn(failed(JANE), returned=returned)) == {JANE: 1}


DELAYS = {
    "an action": dsn("Final-Recipient: rfc822; jane.doe@example.com\nAction: delayed\n"),
    "an action of nobody": dsn("Action: delayed\nStatus: 4.4.7\n"),
    "in its own words": plain(
        f"<{JANE}>: connection timed out. Your mail is delayed; we will keep trying."
    ),
    "in the subject": plain("It takes a while.", subject="Warning: could not send for 4 hours"),
    "with a reason": plain(f"{JANE}: user unknown at the backup. Still trying for 3 days."),
}


@pytest.mark.parametrize("mail", DELAYS.values(), ids=DELAYS)
def test_a_delay_does_nothing_and_reaches_nobody(mail: bytes) -> None:  # RULES F9
    assert interpret_mail(mail, for_reports=True).review_reason is None
    assert effects(mail) == {}


def test_a_reason_that_is_not_the_address_reaches_no_person() -> None:
    mail = plain("Your mail was not delivered.\n\n554 5.7.1 blocked as spam", returned="")
    found = interpret_mail(mail, for_reports=True)
    assert (found.kind, found.review_reason) == (MailKind.DELIVERY_REPORT, None)


def test_one_that_may_be_about_an_address_does() -> None:
    mail = plain("Your mail was not delivered.\n\n550 5.1.1 user unknown", returned="")
    assert interpret_mail(mail, for_reports=True).review_reason is ReviewReason.NO_RECIPIENT


def test_the_only_address_is_believed_with_a_code_where_none_is_given_back() -> None:
    words = "Sorry about paul@example.org.\n\nIt was answered: 550 5.1.1 user unknown"
    assert effects(plain(words, returned="")) == {"paul@example.org": 1}
    assert effects(plain(words.replace("5.1.1 ", ""), returned="")) == {"paul@example.org": 2}
    two = words.replace("about", "about tom@example.org and")
    assert (
        interpret_mail(plain(two, returned=""), for_reports=True).review_reason
        is ReviewReason.NO_RECIPIENT
    )


def test_a_report_without_words_is_no_reply() -> None:
    assert interpret_mail(plain("", returned=""), for_reports=True) == MailInterpretation(
        MailKind.DELIVERY_REPORT, review_reason=ReviewReason.NO_RECIPIENT
    )
