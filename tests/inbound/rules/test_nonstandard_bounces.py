"""Bounces in no standard form, as mail systems have written them each in its own."""

from __future__ import annotations

import pytest

from preference_center.core.bounces import DeliverabilityPolicy, classify_bounce
from preference_center.inbound.rules import MailInterpretation, MailKind, ReviewReason
from preference_center.inbound.rules.interpret import interpret_mail

JANE = "jane.doe@example.com"
RETURNED = f"""\
Received: from acme
From: Acme <news@acme.example>
To: {JANE}
Subject: Is your mailbox full of spam?

Buy now.
"""


def bounce(
    prose: str,
    sender: str = "MAILER-DAEMON@mx.example.net",
    subject: str = "Undeliverable mail",
    header: str = "",
    divider: str = "--- The original message follows.\n\n",
    returned: str = RETURNED,
) -> bytes:
    return (
        f"Return-Path: <>\nFrom: {sender}\nTo: bounces@acme.example\nSubject: {subject}\n{header}\n"
        f"{prose}\n\n{divider}{returned}"
    ).encode()


def at_once(mail: bytes) -> list[str]:
    """Whom it suppresses at once by default."""
    found = interpret_mail(mail, for_reports=True)
    assert found.kind is MailKind.DELIVERY_REPORT
    return [
        statement.recipients[0]
        for statement in found.statements
        if statement.bounce
        and statement.recipients
        and DeliverabilityPolicy().threshold_for(classify_bounce(statement.bounce).code).events == 1
    ]


NO_MAILBOX = {
    "a small agent's": f"There was an error delivering to <{JANE}>.\n\nmx refused our RCPT TO:\n"
    f"550 5.1.1 <{JANE}>: User unknown",
    "a groupware server's": f"Your message\n\n  Subject: Mailbox full\n\nwas not delivered to:\n\n"
    f"  {JANE}\n\nbecause:\n\n  User jane ({JANE}) not listed in Directory",
    "an old server's": f"---The following addresses had errors---\n\n{JANE} [User unknown]",
    "a transcript": f">>> RCPT To:<{JANE}>\n<<< 550, User Unknown",
    "one with its report indented": f"  Message-id: <1@acme.example>\n  Subject: Mailbox full\n\n"
    f"Could not be delivered:\n\n  Recipient: {JANE}\n  Reason: no such user here",
}
NOT_THE_MAILBOX = {
    "full": f"There was an error delivering your mail to <{JANE}>.\n\n552 5.2.2 Mailbox full",
    "refused": f"There was an error delivering to <{JANE}>.\n\n550 5.7.26 against our DMARC policy",
    "late": f"<{JANE}>: user unknown to our backup; your message is delayed, we will retry",
}


@pytest.mark.parametrize("prose", NO_MAILBOX.values(), ids=NO_MAILBOX)
def test_whom_the_mail_was_to_is_believed_to_be_gone_in_clear_words(prose: str) -> None:
    assert at_once(bounce(prose)) == [JANE]


@pytest.mark.parametrize(
    "words", ["550 5.1.1 jane.doe... User unknown", "550 <jane.doe> not known"]
)
def test_words_without_an_address_are_about_the_only_recipient(words: str) -> None:
    prose = f"----- Transcript of session follows -----\n{words}"
    suppressed = [JANE] if "5.1.1" in words else []
    assert at_once(bounce(prose)) == suppressed
    assert at_once(bounce(f"{prose}\n(expanded to jd@isp.example)")) == []
    several = RETURNED.replace("Subject", "Cc: paul@example.org\nSubject")
    assert at_once(bounce(prose, returned=several)) == []


@pytest.mark.parametrize("prose", NOT_THE_MAILBOX.values(), ids=NOT_THE_MAILBOX)
def test_other_words_suppress_nobody(prose: str) -> None:  # RULES F9, F10
    assert at_once(bounce(prose)) == []


def test_somebody_else_in_the_prose_is_nobody() -> None:
    mail = bounce("<paul@example.org>: user unknown")
    assert interpret_mail(mail, for_reports=True).review_reason is ReviewReason.NO_RECIPIENT


def test_only_a_mail_system_is_believed() -> None:
    mail = bounce(f"{JANE}: user unknown", sender="jane.doe@example.com")
    assert interpret_mail(mail, for_reports=True) == MailInterpretation(MailKind.AUTO_REPLY)


def test_one_in_html_is_read_without_its_markup() -> None:
    prose = (
        f"<html><style>p {{ margin: 2.0.12 }}</style><p>Delivery failed to {JANE}:<br>"
        "550 5.1.1 User unknown</p></html>"
    )
    header = f"Content-Type: text/html\nX-Failed-Recipients: {JANE}\n"
    mail = bounce(prose, header=header, divider="", returned="")
    (statement,) = interpret_mail(mail, for_reports=True).statements
    assert statement.recipients == (JANE,)
    assert statement.bounce is not None
    assert classify_bounce(statement.bounce).code == "5.1.1"


def test_one_whose_name_is_masked_is_queued_for_review() -> None:  # RULES F7
    mail = bounce("Hi. This is the qmail-send program.\n\n<xxxxx@example.com>:\nno such user")
    (statement,) = interpret_mail(mail, for_reports=True).statements
    assert statement.recipients == ()


@pytest.mark.parametrize("words", ["A message that you sent", "This is a permanent error."])
def test_that_a_mail_failed_is_no_reason(words: str) -> None:
    mail = bounce(
        f"{words}\nIt could not be delivered:\n\n  {JANE}\n    it is odd",
        header=f"X-Failed-Recipients: {JANE}\n",
    )
    assert at_once(mail) == []
