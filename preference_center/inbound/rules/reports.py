"""This module reads reports of mail providers' spam buttons, and the parts that all reports share.

Spam buttons report by ARF (RFC 5965, 6650), and by Microsoft's own form. Delivery and feedback
reports have groups of fields (RFC 3464 2.1, RFC 5965 3), and a text for people, which is read
without the mail that it returns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

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
from preference_center.inbound.rules.text import html_to_text

MAX_CHARACTERS = 20_000
"""Characters that are read."""


MAX_RECIPIENT_CHARACTERS = 3000
"""Characters returned about one recipient."""


_MAX_RECIPIENTS = 50
"""Recipients above which a report's paragraphs are not divided between them."""


RETURNED_CONTENT_TYPES = (
    "message/rfc822",
    "message/rfc822-headers",
    "message/global",
    "message/global-headers",
    "text/rfc822",
    "text/rfc822-header",
    "text/rfc822-headers",
    "message/partial",
)


# Where the returned mail begins. Its header contains words like spf and spam, which would be
# taken for the reason.
_RETURNED_MAIL_START = re.compile(
    r"""^(?:[ >*#=_-]{0,30}(?!the\ original\ message\ was\ (?:received|sent))(?:
        (?:below\ this\ line\ is\ |below\ is\ |the\ |this\ is\ |included\ is\ |here\ is\ )*
        (?:(?:a\ )?copy\ of\ (?:the|your)(?:\ original)?|your\ original|the\ original|original
            |returned|unsent|undelivered|your\ returned|old)\ (?:e-?mail|mail|message)\b[^\n]{0,80}
      | message\ (?:headers?|text|body)(?:\ follows?)?\b[^\n]{0,40}
    ) | >?[ ]?(?:received|return-path|dkim-signature|authentication-results|arc-[a-z-]+|x-[a-z0-9-]+
            |message-id|mime-version):\ [^\n]*
    )$""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)


# Not reasons: fields of the returned mail that some quote, and what gateways append.
_QUOTED_FIELD = re.compile(
    r"""^[ \t>*]*(?:subject|sent|date|message-id|from|cc|betreff|gesendet|datum|von|oggetto|inviato
        |da|objet|envoy[e\u00e9]|asunto|enviado)\ ?:[^\n]*$""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)


_DISCLAIMER = re.compile(r"(?<=\n)[ \t]*_{8,}(?:[ \t][^\n]*)?$", re.MULTILINE)


# The code of another server's reply (RFC 5321 4.2), or Yahoo's reply, often without its code.
_SMTP_REPLY = re.compile(
    r"(?<![\w.])[45]\d\d(?=[\s:,;)-])|user does ?n[o']t have an? \S{1,255} account", re.IGNORECASE
)


_PARAGRAPH = re.compile(r"\n[ \t]*\n")


def report_text(mail: ParsedMail) -> str:
    """The text for people, up to the returned mail."""
    return split_returned_mail(mail)[0]


def is_text_truncated(mail: ParsedMail) -> bool:
    """Whether its text for people is longer than what is read, before the returned mail."""
    texts = mail.texts_of_type("text/plain")
    return (
        bool(texts)
        and len(texts[0]) > MAX_CHARACTERS
        and _RETURNED_MAIL_START.search(texts[0][:MAX_CHARACTERS]) is None
    )


def split_returned_mail(mail: ParsedMail) -> tuple[str, str]:
    """The text, and the returned mail (or its header), however it is attached."""
    texts = mail.texts_of_type("text/plain") or [
        html_to_text(h) for h in mail.texts_of_type("text/html")
    ]
    prose = (texts[0] if texts else "")[:MAX_CHARACTERS]
    begins = _RETURNED_MAIL_START.search(prose)
    returned = "\n\n".join(mail.texts_of_type(*RETURNED_CONTENT_TYPES))
    if begins is None:
        return prose, returned
    rest = texts[0][begins.start() :]
    line, _, after = rest.partition("\n")
    after = rest if ": " in line and not line.startswith(("-", " ")) else after
    return prose[: begins.start()], returned or after.lstrip("\n")


def text_about_recipient(
    text: str,
    recipients: Iterable[str],
    other_recipients: Sequence[str] = (),
    *,
    is_only_recipient: bool,
) -> str:
    """The text about one recipient: all of it, or the paragraphs that name it.

    Of a paragraph that names `others` too, as Exim and Sendmail write them, the part from its
    own name up to the next.
    """
    if is_only_recipient:
        return strip_quoted_fields(text)[:MAX_RECIPIENT_CHARACTERS]
    known = {name.casefold() for name in recipients}
    strangers = {
        name.casefold()
        for name in (other_recipients if len(other_recipients) <= _MAX_RECIPIENTS else ())
    } - known
    found = [
        own
        for part in _PARAGRAPH.split(text)
        if _mentions_any(part, known)
        for own in (
            _split_by_recipient(part, known | strangers)
            if _mentions_any(part, strangers)
            else (part,)
        )
        if _mentions_any(own, known)
    ]
    return strip_quoted_fields("\n\n".join(found))[:MAX_RECIPIENT_CHARACTERS]


def _split_by_recipient(paragraph: str, recipients: set[str]) -> Iterator[str]:
    """Parts of a paragraph that begin with one name each; in parentheses it may be another's."""
    lines: list[str] = []
    for line in paragraph.split("\n"):
        if lines and not line.lstrip().startswith("(") and _mentions_any(line, recipients):
            yield "\n".join(lines)
            lines = []
        lines.append(line)
    yield "\n".join(lines)


def _mentions_any(text: str, names: Iterable[str]) -> bool:
    folded = text.casefold()
    return any(name in folded for name in names)


def strip_quoted_fields(text: str) -> str:
    """The text without fields quoted from the returned mail, and without a disclaimer.

    The subject of a mail may mention anything; a disclaimer usually mentions viruses.
    """
    below = _DISCLAIMER.search(text)
    return _QUOTED_FIELD.sub("", text[: below.start()] if below else text)


def quotes_smtp_reply(text: str) -> bool:
    """Whether it quotes another server's reply, and not only the system's own finding."""
    return _SMTP_REPLY.search(text) is not None


FieldGroup: TypeAlias = Mapping[str, list[str]]
"""Names in lower case -> values, unfolded."""


_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60})[ \t]*:[ \t]*(.*)")


_MAX_VALUE_LENGTH = 4000  # characters of a value


_RECIPIENT_FIELDS = {"original-recipient", "final-recipient", "x-actual-recipient"}


_UNIQUE_FIELDS = {"original-recipient", "final-recipient", "action", "status"}


_OUTCOME_FIELDS = {"action", "status"}


def parse_fields(text: str) -> FieldGroup:
    """All fields of a text, blank lines or not."""
    found: dict[str, list[str]] = {}
    for name, value in _unfolded_fields(text):
        if name:
            found.setdefault(name, []).append(value)
    return found


def parse_recipient_groups(text: str) -> Iterator[FieldGroup]:
    """The groups of a delivery report, each about one recipient.

    A new group begins where a field occurs again that a group has only once, or where another
    recipient is named after a blank line. A blank line alone ends nothing: gateways double line
    ends.
    """
    group: dict[str, list[str]] = {}
    blank = False
    for name, value in _unfolded_fields(text):
        if not name:
            blank = True
            continue
        if (name in _UNIQUE_FIELDS and name in group) or (
            blank and name in _RECIPIENT_FIELDS and _is_complete(group)
        ):
            if _is_complete(group):
                yield group
            group = {}
        blank = blank and name not in _RECIPIENT_FIELDS
        group.setdefault(name, []).append(value)
    if _is_complete(group):
        yield group


def _is_complete(group: FieldGroup) -> bool:
    return bool(_RECIPIENT_FIELDS & group.keys()) and bool(_OUTCOME_FIELDS & group.keys())


def first_value(group: FieldGroup, name: str) -> str:
    """The first value of a field; "" if there is none."""
    return group.get(name, [""])[0]


def _unfolded_fields(text: str) -> Iterator[tuple[str, str]]:
    """Each field with its folded lines put together; ("", "") for a blank line."""
    name, value = "", ""
    for line in text.split("\n"):
        if name and line[:1] in {" ", "\t"} and line.strip():
            value = f"{value} {line.strip()}"[:_MAX_VALUE_LENGTH]
            continue
        if name:
            yield name, value
        found = _FIELD.match(line)
        name, value = (
            (found[1].lower(), found[2].strip()[:_MAX_VALUE_LENGTH]) if found else ("", "")
        )
        if not line.strip():
            yield "", ""
    if name:
        yield name, value


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
    header = parse_header(returned)
    sender = single_address(header, "From")
    recipients = tuple(name for name in recipients if not _is_same(name, sender))
    if not recipients and not report.get("original-rcpt-to"):
        found = (single_address(header, field) for field in _RETURNED_FIELDS)
        recipients = next(((name,) for name in found if name), ())
    one = recipients if len(recipients) == 1 else ()
    return MailInterpretation(
        MailKind.FEEDBACK_REPORT, (MailStatement(statement_kind, one),), token_text=returned
    )


def _is_same(address: str, sender: str | None) -> bool:
    return sender is not None and address.casefold() == sender.casefold()


def _reported_addresses(report: FieldGroup, field: str) -> tuple[str, ...]:
    found = dict.fromkeys(parse_recipient_field(value) for value in report.get(field, []))
    return tuple(name for name in found if name)
