"""The text of a report for people, without the mail that it returns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from preference_center.core.mime import ParsedMail
from preference_center.inbound.rules.html_text import html_to_text

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
