"""What a report says to people: its text, less the mail that it gives back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from preference_center.domain.mail.html_text import text_of_html
from preference_center.domain.mail.mime import Opened

MUCH = 20_000
"""Characters that are looked at."""
MOST = 3000
"""Characters handed on about one recipient."""
_MANY = 50
"""Recipients of a report whose words are no longer told apart within a paragraph."""

RETURNED_KINDS = (
    "message/rfc822",
    "message/rfc822-headers",
    "message/global",
    "message/global-headers",
    "text/rfc822",
    "text/rfc822-header",
    "text/rfc822-headers",
    "message/partial",
)

# Where the mail begins that is given back. Its header holds words like spf and spam, which
# would be taken for the reason.
_GIVEN_BACK = re.compile(
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
# What is no reason: fields of the returned mail that some quote, and what gateways add below.
_QUOTED_FIELD = re.compile(
    r"""^[ \t>*]*(?:subject|sent|date|message-id|from|cc|betreff|gesendet|datum|von|oggetto|inviato
        |da|objet|envoy[e\u00e9]|asunto|enviado)\ ?:[^\n]*$""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_DISCLAIMER = re.compile(r"(?<=\n)[ \t]*_{8,}(?:[ \t][^\n]*)?$", re.MULTILINE)
# The code of a reply of another server (RFC 5321 4.2), or Yahoo's answer, often without its code.
_REPLY = re.compile(
    r"(?<![\w.])[45]\d\d(?=[\s:,;)-])|user does ?n[o']t have an? \S{1,255} account", re.IGNORECASE
)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")


def prose_of(mail: Opened) -> str:
    """What it says to people, up to the mail that is given back."""
    return split(mail)[0]


def is_cut(mail: Opened) -> bool:
    """Whether it says more to people than is read of it, before what is given back."""
    texts = mail.of_kind("text/plain")
    return bool(texts) and len(texts[0]) > MUCH and _GIVEN_BACK.search(texts[0][:MUCH]) is None


def split(mail: Opened) -> tuple[str, str]:
    """The prose, and the mail that is given back (or its header), however it is attached."""
    texts = mail.of_kind("text/plain") or [text_of_html(h) for h in mail.of_kind("text/html")]
    prose = (texts[0] if texts else "")[:MUCH]
    begins = _GIVEN_BACK.search(prose)
    returned = "\n\n".join(mail.of_kind(*RETURNED_KINDS))
    if begins is None:
        return prose, returned
    rest = texts[0][begins.start() :]
    line, _, after = rest.partition("\n")
    after = rest if ": " in line and not line.startswith(("-", " ")) else after
    return prose[: begins.start()], returned or after.lstrip("\n")


def about(prose: str, names: Iterable[str], others: Sequence[str] = (), *, alone: bool) -> str:
    """What the prose says of one recipient: all of it, or the paragraphs that name it.

    Of a paragraph that names `others` too, as Exim and Sendmail write them, it is what stands
    from its own name up to the next.
    """
    if alone:
        return reason_of(prose)[:MOST]
    known = {name.casefold() for name in names}
    strangers = {name.casefold() for name in (others if len(others) <= _MANY else ())} - known
    found = [
        own
        for part in _PARAGRAPH.split(prose)
        if _names_one(part, known)
        for own in (_sections(part, known | strangers) if _names_one(part, strangers) else (part,))
        if _names_one(own, known)
    ]
    return reason_of("\n\n".join(found))[:MOST]


def _sections(paragraph: str, names: set[str]) -> Iterator[str]:
    """Parts of a paragraph that begin with a name each; in brackets it may be another's."""
    lines: list[str] = []
    for line in paragraph.split("\n"):
        if lines and not line.lstrip().startswith("(") and _names_one(line, names):
            yield "\n".join(lines)
            lines = []
        lines.append(line)
    yield "\n".join(lines)


def _names_one(text: str, names: Iterable[str]) -> bool:
    folded = text.casefold()
    return any(name in folded for name in names)


def reason_of(prose: str) -> str:
    """The prose without the fields it quotes of the returned mail, and without a disclaimer.

    The subject of a mail may speak of anything; a disclaimer mostly speaks of viruses.
    """
    below = _DISCLAIMER.search(prose)
    return _QUOTED_FIELD.sub("", prose[: below.start()] if below else prose)


def quotes_a_reply(text: str) -> bool:
    """Whether it gives the reply of another server, and not only what the system found itself."""
    return _REPLY.search(text) is not None
