"""Reports of mail providers' spam buttons: ARF (RFC 5965, 6650), and Microsoft's own form."""

from __future__ import annotations

from preference_center.core.mime import (
    ParsedMail,
    parse_header,
    parse_recipient_field,
    single_address,
)
from preference_center.inbound.rules import (
    MailInterpretation,
    MailKind,
    MailStatement,
    ReviewReason,
    StatementKind,
)
from preference_center.inbound.rules.report_fields import FieldGroup, first_value, parse_fields

FEEDBACK_REPORT_TYPE = "message/feedback-report"

_COMPLAINT_TYPES = {"abuse", "fraud", "complaint"}
_OPT_OUT_TYPES = {"opt-out", "opt-out-list", "unsubscribe"}
"""Of drafts before RFC 5965; still sent."""
# RFC 6591 (DMARC's reports are of this type), RFC 6430, RFC 5965 7.3: no request (F6).
_IGNORED_TYPES = {"auth-failure", "not-spam", "virus", "dmarc", "miscategorized"}

_JUNK_REPORTERS = ("staff@hotmail.com", "complaints@email-abuse.amazonses.com")
"""Of the Junk Mail Reporting Program, https://sendersupport.olc.protection.outlook.com/, and
of Amazon SES, which forwards such reports."""
_HOTMAIL_RECIPIENT = "X-HmXmrOriginalRecipient"
# Where the recipient may be named in the reported mail, the most reliable field first.
_RETURNED_FIELDS = (_HOTMAIL_RECIPIENT, "X-Original-To", "Delivered-To", "To")


def is_feedback_report(mail: ParsedMail) -> bool:
    """Whether it is a report of either form."""
    return bool(mail.texts_of_type(FEEDBACK_REPORT_TYPE)) or mail.report_type == "feedback-report"


def is_junk_report(mail: ParsedMail, returned: str) -> bool:
    """Whether it is Microsoft's report: a mail attached to an otherwise empty mail."""
    sender = mail.field("From").casefold()
    return bool(returned) and (
        _HOTMAIL_RECIPIENT in parse_header(returned)
        or any(each in sender for each in _JUNK_REPORTERS)
    )


def parse_junk_report(returned: str) -> MailInterpretation:
    """What Microsoft's report states."""
    return _interpretation(StatementKind.COMPLAINED, (), returned)


def parse_feedback_report(mail: ParsedMail, returned: str) -> MailInterpretation:
    """What an ARF report states. An unknown type is queued for review."""
    texts = mail.texts_of_type(FEEDBACK_REPORT_TYPE) or [leaf.text for leaf in mail.text_parts]
    report = parse_fields("\n".join(texts))
    kind = first_value(report, "feedback-type").partition("(")[0].strip().casefold()
    if kind in _IGNORED_TYPES:
        return MailInterpretation(MailKind.FEEDBACK_REPORT)
    if kind in _OPT_OUT_TYPES:
        return _interpretation(
            StatementKind.OPTED_OUT,
            _reported_addresses(report, "removal-recipient"),
            returned,
            report,
        )
    if kind in _COMPLAINT_TYPES:
        return _interpretation(StatementKind.COMPLAINED, (), returned, report)
    return MailInterpretation(
        MailKind.FEEDBACK_REPORT,
        review_reason=ReviewReason.UNKNOWN_REPORT_TYPE,
        token_text=returned,
    )


def _interpretation(
    statement_kind: StatementKind,
    recipients: tuple[str, ...],
    returned: str,
    report: FieldGroup = {},  # noqa: B006 - not written to
) -> MailInterpretation:
    """One person pressed the button, so a report that names several names nobody.

    If it names nobody, the only recipient of the reported mail complained.
    """
    recipients = (
        recipients
        or _reported_addresses(report, "original-rcpt-to")
        or _reported_addresses(report, "removal-recipient")
    )
    if not recipients and not report.get("original-rcpt-to"):
        header = parse_header(returned)
        found = (single_address(header, field) for field in _RETURNED_FIELDS)
        recipients = next(((name,) for name in found if name), ())
    one = recipients if len(recipients) == 1 else ()
    return MailInterpretation(
        MailKind.FEEDBACK_REPORT, (MailStatement(statement_kind, one),), token_text=returned
    )


def _reported_addresses(report: FieldGroup, field: str) -> tuple[str, ...]:
    found = dict.fromkeys(parse_recipient_field(value) for value in report.get(field, []))
    return tuple(name for name in found if name)
