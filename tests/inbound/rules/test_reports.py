"""Delivery reports (RFC 3464) and feedback reports (RFC 5965), field by field."""

from __future__ import annotations

import pytest

from preference_center.core.bounces import Bounce
from preference_center.inbound.rules import (
    MailInterpretation,
    MailKind,
    MailStatement,
    ReviewReason,
    StatementKind,
)
from preference_center.inbound.rules.interpret import interpret_mail
from tests.inbound.rules.reports import RETURNED, arf, dsn, failed

JANE, PAUL = "jane.doe@example.com", "paul@example.org"
UNKNOWN = Bounce("5.1.1", "550", "550 5.1.1 User unknown")


def bounces(mail: bytes) -> list[tuple[tuple[str, ...], Bounce | None]]:
    found = interpret_mail(mail, for_reports=True)
    assert found.kind is MailKind.DELIVERY_REPORT
    assert {statement.kind for statement in found.statements} <= {StatementKind.BOUNCED}
    return [(statement.recipients, statement.bounce) for statement in found.statements]


class TestDelivery:
    def test_each_recipient_has_a_fate_of_its_own(self) -> None:  # RULES F8
        full = failed(PAUL, "5.2.2", "552 5.2.2 Mailbox full")
        late = failed("late@example.net", "4.4.1", "", action="delayed")
        assert bounces(dsn(failed(JANE), full, late)) == [
            ((JANE,), UNKNOWN),
            ((PAUL,), Bounce("5.2.2", "552", "552 5.2.2 Mailbox full")),
        ]

    @pytest.mark.parametrize(
        "action", ["delayed", "Delivered", "relayed", "expanded", "deliverable", "delayed (4.x)"]
    )
    def test_only_a_failure_states_anything(self, action: str) -> None:  # RULES F9
        assert bounces(dsn(failed(JANE, action=action))) == []

    @pytest.mark.parametrize(
        "fields, names",
        [
            (
                (
                    "Original-Recipient: rfc822; jane.doe@example.com\n"
                    "Final-Recipient: RFC822;jd17@mx1.internal"
                ),
                (JANE, "jd17@mx1.internal"),
            ),
            ("Final-Recipient: rfc822; <jane.doe@example.com> (Jane)", (JANE,)),
            ("Final-Recipient: jane.doe@example.com", (JANE,)),
            (
                (
                    "Original-Recipient: rfc822;jane+2Bnews@example.com\n"
                    "Final-Recipient: rfc822;jane+news@example.com"
                ),
                ("jane+news@example.com",),
            ),
            ("Final-Recipient: utf-8; j\\x{E4}ne@example.com", ("j\u00e4ne@example.com",)),
            (
                (
                    "Final-Recipient: x400; /G=Jane/S=Doe/\n"
                    "X-Actual-Recipient: rfc822; jane.doe@example.com"
                ),
                (JANE,),
            ),
            ("Final-Recipient: rfc822; jane", (JANE,)),  # else whom the mail was to
        ],
    )
    def test_the_recipient_is_who_was_mailed(self, fields: str, names: tuple[str, ...]) -> None:
        fate = "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\n"
        assert bounces(dsn(f"{fields}\n{fate}")) == [(names, UNKNOWN)]

    def test_groups_may_lack_blank_lines_or_have_too_many(self) -> None:
        first, second = failed(JANE), failed(PAUL)
        together = dsn(first.rstrip() + "\n" + second)
        apart = dsn((first + second).replace("\n", "\n\n"))
        assert bounces(together) == bounces(apart) == [((JANE,), UNKNOWN), ((PAUL,), UNKNOWN)]

    def test_a_status_part_is_found_whatever_its_form(self) -> None:
        broken = dsn(failed(JANE)).replace(b"\n--=_report", b"\n --=_report")
        global_ = dsn(failed(JANE), kind="message/global-delivery-status")
        assert bounces(broken) == bounces(global_) == [((JANE,), UNKNOWN)]

    def test_a_full_mailbox_in_the_prose_is_reported(self) -> None:  # RULES F11
        mail = dsn(failed(JANE), prose="Your message was automatically rejected:\nQuota exceeded")
        ((_, bounce),) = bounces(mail)
        assert bounce is not None
        assert "Quota exceeded" in bounce.diagnostic

    def test_the_header_that_some_give_back_in_the_prose_is_not_the_reason(self) -> None:
        prose = "It failed.\n\nIntestazioni:\n\nReceived: from mx\nX-Spam: mailbox full, spf"
        mail = dsn(failed(JANE, "5.1.1", ""), prose=prose)
        ((_, bounce),) = bounces(mail)
        assert bounce is not None
        assert "spf" not in bounce.diagnostic

    def test_without_code_and_diagnosis_its_text_for_people_is_read(self) -> None:
        mail = dsn(failed(JANE, "5.0.0 (over quota)", ""))
        assert bounces(mail) == [((JANE,), Bounce("5.0.0", diagnostic="It did not work."))]

    @pytest.mark.parametrize("to", ["", "To: list@example.org\n"])
    def test_a_masked_recipient_is_nobody(self, to: str) -> None:  # RULES F7
        mail = dsn(failed("jane...@example.com"), returned=f"{to}Subject: Offers\n")
        assert bounces(mail) == [((), UNKNOWN)]

    @pytest.mark.parametrize(
        "prose, at_rcpt",
        [
            ("<jane.doe@example.com>: host mx said: 550 no (in reply to RCPT TO command)", True),
            ("<jane.doe@example.com>: host mx said: 550 no (in reply to end of DATA)", False),
            ("... while talking to mx:\n>>> RCPT To:<jane.doe@example.com>\n<<< 550 no", True),
            ("... while talking to mx:\n>>> DATA\n<<< 550 jane.doe@example.com no", False),
            ("jane.doe@example.com\nerror from mx after RCPT TO:<jane.doe@example.com>", True),
        ],
    )
    def test_what_was_refused_is_found_in_the_prose(self, prose: str, *, at_rcpt: bool) -> None:
        groups = failed(JANE, "5.0.0", "550 no such user"), failed(PAUL)
        (_, jane), (_, paul) = bounces(dsn(*groups, prose=prose))
        ((_, alone),) = bounces(dsn(groups[0], prose=prose))
        assert jane == alone == Bounce("5.0.0", "550", "550 no such user", rejected_at_rcpt=at_rcpt)
        assert paul == UNKNOWN

    def test_neither_a_subject_nor_a_disclaimer_is_the_reason(self) -> None:
        prose = f"Subject: full quota\nIt failed.\n\n{'_' * 40}\nScanned for viruses"
        ((_, bounce),) = bounces(dsn(failed(JANE, "5.1.1", ""), prose=prose))
        assert bounce is not None
        assert "quota" not in bounce.diagnostic
        assert "viruses" not in bounce.diagnostic

    def test_only_what_is_stated_about_the_recipient_is_the_reason(self) -> None:
        prose = (
            "Common errors:\n\nquota exceeded: the mailbox is full\n\n<jane.doe@example.com>: no"
        )
        assert bounces(dsn(failed(JANE), prose=prose)) == [((JANE,), UNKNOWN)]

    @pytest.mark.parametrize("status, fails", [("5.1.1", True), ("4.4.1", False), ("2.0.0", False)])
    def test_without_an_action_the_status_tells(self, status: str, *, fails: bool) -> None:
        group = failed(JANE, status).replace("Action: failed\n", "")
        assert len(bounces(dsn(group))) == fails

    @pytest.mark.parametrize("about, count", [("news@acme.example", 0), (JANE, 1)])
    def test_words_about_the_senders_address_are_not_about_the_recipient(
        self, about: str, count: int
    ) -> None:
        text = f"550 5.1.1 <{about}> does not exist"
        assert len(bounces(dsn(failed(JANE, diagnosis=text)))) == count

    def test_a_status_may_stand_among_other_words(self) -> None:
        ((_, bounce),) = bounces(dsn(failed(JANE, "550 5.1.1 (no such user)")))
        assert bounce == UNKNOWN

    def test_one_that_a_gateway_made_a_text_of_is_read(self) -> None:
        mail = f"Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\n\n{failed(JANE)}".encode()
        assert bounces(mail) == [((JANE,), UNKNOWN)]

    def test_a_report_without_recipients_is_read_by_its_prose(self) -> None:
        prose = (
            "Delivery to the following recipients failed permanently:\n\n   * jane.doe@example.com"
        )
        ((names, _),) = bounces(dsn(prose=prose))
        assert names == (JANE,)


QMAIL = b"""\
Return-Path: <>
From: MAILER-DAEMON@mx.example.net
Subject: failure notice

Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<jane.doe@example.com>:
192.0.2.1 does not like recipient.
Remote host said: 550 5.1.1 unknown user
Giving up on 192.0.2.1.

<paul@example.org>:
Remote host said: 552 mailbox full

--- Below this line is a copy of the message.

To: somebody.else@example.com
"""
EXIM = b"""\
X-Failed-Recipients: jane.doe@example.com
From: Mail Delivery System <Mailer-Daemon@mx.example.net>
Subject: Mail delivery failed: returning message to sender

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  jane.doe@example.com
    mailbox is full: retry timeout exceeded

------ This is a copy of the message, including all the headers. ------

Received: from x
Subject: 550 5.1.1 user unknown
"""
WARNING = b"""\
Return-Path: <>
From: MAILER-DAEMON@mx.example.net
Subject: Warning

Delivery to the following recipient has been delayed:

     jane.doe@example.com

Message will be retried for 2 more day(s)
"""


class TestOtherBounces:
    def test_each_recipient_has_its_own_paragraph(self) -> None:
        (first, one), (second, two) = bounces(QMAIL)
        assert (first, second) == ((JANE,), (PAUL,))
        assert one is not None
        assert two is not None
        assert "unknown user" in one.diagnostic
        assert "full" not in one.diagnostic
        assert "mailbox full" in two.diagnostic

    def test_of_one_paragraph_each_recipient_has_its_own_lines(self) -> None:
        mail = EXIM.replace(
            b"    mailbox is full: retry timeout exceeded\n",
            b"    mailbox is full: retry timeout exceeded\n  paul@example.org\n"
            b"    (generated from all@example.org)\n    no such user here\n",
        ).replace(b"Recipients: jane", b"Recipients: paul@example.org, jane")
        words = {names[0]: bounce.diagnostic for names, bounce in bounces(mail) if bounce}
        assert "full" in words[JANE]
        assert "no such user" not in words[JANE]
        assert "no such user" in words[PAUL]
        assert "full" not in words[PAUL]

    def test_the_mail_given_back_is_not_read(self) -> None:
        ((names, bounce),) = bounces(EXIM)
        assert names == (JANE,)
        assert bounce is not None
        assert "mailbox is full" in bounce.diagnostic
        assert "5.1.1" not in bounce.diagnostic

    def test_a_warning_states_nothing(self) -> None:  # RULES F9
        assert bounces(WARNING) == []

    def test_one_that_names_nobody_is_queued_for_review(self) -> None:
        mail = b"Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nSubject: Oh no\n\nIt broke.\n"
        assert interpret_mail(mail, for_reports=True).review_reason is ReviewReason.NO_RECIPIENT
        away = mail.replace(b"MAILER-DAEMON", b"jane")  # vacation notices have no sender too
        assert interpret_mail(away, for_reports=True) == MailInterpretation(MailKind.AUTO_REPLY)


class TestFeedback:
    @pytest.mark.parametrize("kind", ["abuse", "Abuse", "fraud"])
    def test_a_complaint_is_one(self, kind: str) -> None:
        found = interpret_mail(arf(f"Original-Rcpt-To: <{JANE}>", kind=kind), for_reports=True)
        assert found.statements == (MailStatement(StatementKind.COMPLAINED, (JANE,)),)

    @pytest.mark.parametrize("kind", ["auth-failure", "not-spam", "virus"])
    def test_what_is_no_request_states_nothing(self, kind: str) -> None:  # RULES F6
        mail = arf(f"Original-Rcpt-To: {JANE}", kind=kind)
        assert interpret_mail(mail, for_reports=True) == MailInterpretation(
            MailKind.FEEDBACK_REPORT
        )

    def test_an_unknown_kind_is_queued_for_review(self) -> None:
        mail = arf(f"Original-Rcpt-To: {JANE}", kind="other")
        assert (
            interpret_mail(mail, for_reports=True).review_reason is ReviewReason.UNKNOWN_REPORT_TYPE
        )

    def test_an_opt_out_of_old_is_one(self) -> None:
        mail = arf(f"Removal-Recipient: {JANE}", kind="opt-out", part="text/rfc822-header")
        assert interpret_mail(mail, for_reports=True).statements == (
            MailStatement(StatementKind.OPTED_OUT, (JANE,)),
        )

    def test_without_a_recipient_it_is_whom_the_mail_was_to(self) -> None:
        assert interpret_mail(arf(), for_reports=True).statements == (
            MailStatement(StatementKind.COMPLAINED, (JANE,)),
        )

    @pytest.mark.parametrize(
        "hidden",
        [
            "redacted@example.com",
            "redacted-address@aol.example",
            "hashed@provider.example",
            "MD5@comcast.net",
            "d41d8cd98f00b204e9800998ecf8427e@comcast.net",
            "jane***@example.com",
            "[redacted]@example.com",
            "someone@redacted.invalid",
            "xxxxx@example.com",
        ],
    )
    def test_a_placeholder_is_nobody(self, hidden: str) -> None:  # RULES F7
        mail = arf(f"Original-Rcpt-To: {hidden}", returned=RETURNED)
        assert interpret_mail(mail, for_reports=True).statements == (
            MailStatement(StatementKind.COMPLAINED),
        )

    def test_one_button_was_pressed_so_two_recipients_are_nobody(self) -> None:
        mail = arf(f"Original-Rcpt-To: {JANE}", f"Original-Rcpt-To: {PAUL}")
        assert interpret_mail(mail, for_reports=True).statements == (
            MailStatement(StatementKind.COMPLAINED),
        )

    def test_the_sender_of_the_reported_mail_is_nobody_who_complained(self) -> None:
        mail = arf("Original-Rcpt-To: News@acme.example")
        assert interpret_mail(mail, for_reports=True).statements == (
            MailStatement(StatementKind.COMPLAINED),
        )

    @pytest.mark.parametrize(
        "sender", [b"staff@hotmail.com", b"complaints@email-abuse.amazonses.com"]
    )
    def test_microsofts_own_form_is_one_also_passed_on(self, sender: bytes) -> None:
        mail = (
            b"From: " + sender + b"\nSubject: complaint about message from 192.0.2.1\n"
            b'Content-Type: multipart/mixed; boundary="x"\n\n--x\nContent-Type: message/rfc822\n\n'
            b"X-HmXmrOriginalRecipient: jane.doe@example.com\n"
            b"To: everyone@example.com\n\nHi\n--x--\n"
        )
        assert interpret_mail(mail, for_reports=True).statements == (
            MailStatement(StatementKind.COMPLAINED, (JANE,)),
        )
