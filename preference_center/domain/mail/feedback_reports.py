"""Reports of mail providers' spam buttons: ARF (RFC 5965, 6650), and Microsoft's own form."""

from __future__ import annotations

from preference_center.domain.mail import Form, Reading, Said, Saying, Why
from preference_center.domain.mail.address_fields import named, sole
from preference_center.domain.mail.mime import Opened, header_of
from preference_center.domain.mail.report_fields import Group, fields, first

REPORT_KIND = "message/feedback-report"

_COMPLAINTS = {"abuse", "fraud", "complaint"}
_OPT_OUTS = {"opt-out", "opt-out-list", "unsubscribe"}
"""Of drafts before RFC 5965; still sent."""
# RFC 6591 (DMARC's reports are of this type), RFC 6430, RFC 5965 7.3: nobody's wish (F6).
_NOBODYS = {"auth-failure", "not-spam", "virus", "dmarc", "miscategorized"}

_JUNK_REPORTERS = ("staff@hotmail.com", "complaints@email-abuse.amazonses.com")
"""Of the Junk Mail Reporting Program, https://sendersupport.olc.protection.outlook.com/, and
of Amazon SES, which passes such reports on."""
_HOTMAIL_RECIPIENT = "X-HmXmrOriginalRecipient"
# Where the recipient may stand in the mail that was complained about, the surest first.
_RETURNED_FIELDS = (_HOTMAIL_RECIPIENT, "X-Original-To", "Delivered-To", "To")


def is_feedback_report(mail: Opened) -> bool:
    """Whether it is a report of either form."""
    return bool(mail.of_kind(REPORT_KIND)) or mail.report_type == "feedback-report"


def is_junk_report(mail: Opened, returned: str) -> bool:
    """Whether it is a report of Microsoft's, which is a mail within a mail and no more."""
    sender = mail.field("From").casefold()
    return bool(returned) and (
        _HOTMAIL_RECIPIENT in header_of(returned) or any(each in sender for each in _JUNK_REPORTERS)
    )


def read_junk_report(returned: str) -> Reading:
    """What a report of Microsoft's says."""
    return _reading(Said.COMPLAINED, (), returned)


def read_feedback_report(mail: Opened, returned: str) -> Reading:
    """What an ARF report says. A type that is not known is for a person to look at."""
    texts = mail.of_kind(REPORT_KIND) or [leaf.text for leaf in mail.leaves]
    report = fields("\n".join(texts))
    kind = first(report, "feedback-type").partition("(")[0].strip().casefold()
    if kind in _NOBODYS:
        return Reading(Form.FEEDBACK_REPORT)
    if kind in _OPT_OUTS:
        return _reading(Said.OPTED_OUT, _named(report, "removal-recipient"), returned, report)
    if kind in _COMPLAINTS:
        return _reading(Said.COMPLAINED, (), returned, report)
    return Reading(Form.FEEDBACK_REPORT, why=Why.UNKNOWN_KIND, ours=returned)


def _reading(said: Said, names: tuple[str, ...], returned: str, report: Group = {}) -> Reading:  # noqa: B006 - not written to
    """One person pressed the button, so a report that names several names nobody.

    Where it names nobody, the one recipient of the mail itself is who it was.
    """
    names = names or _named(report, "original-rcpt-to") or _named(report, "removal-recipient")
    if not names and not report.get("original-rcpt-to"):
        header = header_of(returned)
        found = (sole(header, field) for field in _RETURNED_FIELDS)
        names = next(((name,) for name in found if name), ())
    one = names if len(names) == 1 else ()
    return Reading(Form.FEEDBACK_REPORT, (Saying(said, one),), ours=returned)


def _named(report: Group, field: str) -> tuple[str, ...]:
    found = dict.fromkeys(named(value) for value in report.get(field, []))
    return tuple(name for name in found if name)
