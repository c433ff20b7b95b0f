"""What Amazon SES reports by mail, through SNS: from the raw mail to the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from preference_center.inbound.rules import MailKind, ReviewReason, StatementKind
from preference_center.inbound.ses_notifications import interpret_ses_notification
from tests.inbound.mail.fixtures import REPORTS, MakeTo, Take
from tests.ledger.tables import Ledger

JANE, PAUL = "jane.doe@example.com", "paul@example.org"
FOOTER = "\n--\nIf you wish to stop receiving notifications, please visit https://sns.example/x"


def complaint(*addresses: str, **sent: object) -> dict[str, object]:
    return {
        "notificationType": "Complaint",
        "complaint": {
            "complainedRecipients": [{"emailAddress": each} for each in addresses],
            "complaintFeedbackType": "abuse",
            "timestamp": "2026-11-24T09:00:00.000Z",
            "feedbackId": "f-1",
        },
        "mail": {"source": "news@acme.example", "destination": list(addresses)} | sent,
    }


def bounce(address: str) -> dict[str, object]:
    failed = {"emailAddress": address, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 no"}
    return {
        "eventType": "Bounce",
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": [failed]},
        "mail": {"source": "news@acme.example"},
    }


def by_mail(notification: object, *, as_json: bool = False) -> bytes:
    text = json.dumps(notification)
    text = json.dumps({"Type": "Notification", "Message": text}) if as_json else text + FOOTER
    return f"""\
From: AWS Notifications <no-reply@sns.amazonaws.com>
To: bounces@acme.example
Subject: Amazon SES Email Event Notification
Content-Type: text/plain; charset=UTF-8

{text}
""".encode()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_complaint_and_a_bounce_are_of_the_recipient_that_ses_names(*, as_json: bool) -> None:
    found = interpret_ses_notification(by_mail(complaint(JANE), as_json=as_json))
    assert found is not None
    (statement,) = found.statements
    assert (found.kind, statement.kind) == (MailKind.FEEDBACK_REPORT, StatementKind.COMPLAINED)
    assert statement.recipients == (JANE,)
    found = interpret_ses_notification(by_mail(bounce(PAUL), as_json=as_json))
    assert found is not None
    (statement,) = found.statements
    assert (found.kind, statement.kind) == (MailKind.DELIVERY_REPORT, StatementKind.BOUNCED)
    assert statement.recipients == (PAUL,)


@pytest.mark.parametrize(
    "notification", [complaint(JANE, PAUL), {"eventType": "New", "mail": {"a": 1}}]
)
def test_what_names_nobody_for_certain_is_for_a_person_to_read(notification: object) -> None:
    found = interpret_ses_notification(by_mail(notification))
    assert found is not None
    assert (found.statements, found.review_reason) == ((), ReviewReason.UNKNOWN_REPORT_TYPE)


@pytest.mark.parametrize(
    "text", ["[]", '{"eventType": "x"', '{"Message": {"eventType": 1}}', "eventType"]
)
def test_other_texts_are_no_notifications(text: str) -> None:
    assert interpret_ses_notification(f"Subject: x\n\n{text}\n".encode()) is None


@pytest.mark.usefixtures("mailboxes")
def test_a_complaint_without_proof_is_queued_and_one_with_our_token_counts(
    take: Take,
    ledger: Ledger,
    make_to: MakeTo,
    store: Callable[[str], None],
    allowed: Callable[..., bool],
) -> None:  # F7
    assert take(by_mail(complaint(JANE)), REPORTS).queued_for_review == 1
    assert ledger.kinds() == []
    store(PAUL)
    header = {"name": "List-Unsubscribe", "value": f"<mailto:{make_to(PAUL)}>"}
    assert take(by_mail(complaint(PAUL, headers=[header])), REPORTS).recorded == 1
    assert ledger.kinds()[-1] == ("complained", "all_marketing")
    assert not allowed(PAUL)
