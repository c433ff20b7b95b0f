"""A person's own text in a reply: without quotations and signature."""

from __future__ import annotations

import re

from preference_center.core.mime import ParsedMail
from preference_center.inbound.rules.html_text import html_to_text

MAX_CHARACTERS = 64 * 1024
"""Characters of a text that are read."""
_MAX_REPLY_CHARACTERS = 4000
"""Characters between quotations: more than anybody writes to opt out."""

_WROTE_VERBS = (
    r"(?:wrote|writes|ha\ scritto|schrieb|hat\ geschrieben|a\ [e\u00e9]crit"
    r"|escribi[o\u00f3]|escreveu|schreef|geschreven|geschrieben"
    r"|napisa[l\u0142]a?(?:\(a\))?|pisze|napisana\ przez"
    r"|skrev|kirjoitti)"
)
# "On Tuesday, Acme wrote:", which programs wrap arbitrarily. In any language it may end with
# the address of the writer, "<news@acme.example>:".
_ATTRIBUTION_LINE = re.compile(
    rf"(?:\b{_WROTE_VERBS}(?!\w)[^\n]{{0,120}}"
    r"|[<(]?[^\s<>()@]{1,64}@[^\s<>()@]{1,255}[>)]):[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_ATTRIBUTION_START = re.compile(
    r"(?:On|Il|Am|Le|El|En|Em|No\ dia|Op|Den|P\u00e5|W\ dniu|Wiadomo|\d{4}[-/]\d)\b"
)
_ADDRESS_START = re.compile(r"[ \t]*\(?<[^\s<>@]{1,64}@")
_MAX_WRAPPED_LINES = 3
_SEPARATOR = re.compile(
    r"""^[ \t]*(?:
        [-_*]{2,}[ ]?(?:original\ (?:message|appointment)|forwarded\ message|reply\ message
            |messaggio\ (?:originale|inoltrato)|(?:urspr[u\u00fc]ngliche|weitergeleitete)\ nachricht
            |message\ (?:d['\u2019]origine|transf[e\u00e9]r[e\u00e9]|original)
            |mensaje\ (?:original|reenviado)|mensagem\ (?:original|encaminhada)
            |oorspronkelijk\ bericht|doorgestuurd\ bericht
            |(?:oryginalna|przekazana)\ wiadomo[s\u015b][c\u0107]
            |wiadomo[s\u015b][c\u0107]\ (?:oryginalna|przekazana))\b.*
      | _{8,} | -{12,} | begin\ forwarded\ message:.*
    )$""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
# The header of the quoted mail, as Outlook writes it: two of its fields, close together.
_HEADER_BLOCK = re.compile(
    r"""^[ \t]*\*?(?:from|von|da|de|van|od|fra|fr[a\u00e5]n)\s?:\*?\ [^\n]*\n(?:[^\n]*\n){0,2}?
        [ \t]*\*?(?:sent|date|gesendet|datum|inviato|data|envoy[e\u00e9]|enviado|fecha|verzonden
            |wys[l\u0142]ano|do|temat|enviado\ el|enviada\ em|sendt|skickat|til|till|emne
            |[a\u00e4]mne|to|an|a|[a\u00e0]|para|aan|subject|betreff|oggetto|objet
            |asunto|assunto
            |onderwerp)\s?:\*?\ """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_SIGNATURE = re.compile(
    r"""^(?: --[ ]?$
      | [ \t]*(?:sent\ (?:from|with|via)|get\ outlook\ for|inviato\ (?:da|con|dal)
            |scarica\ outlook|(?:von|mit)\ (?:meinem?|der)\ |gesendet\ (?:mit|von|\u00fcber)
            |hol(?:en\ sie\ sich)?\ outlook|envoy[e\u00e9]\ (?:de|depuis|avec)
            |t[e\u00e9]l[e\u00e9]charg(?:er|ez)\ outlook|enviado\ (?:desde|do|de|con|a\ partir)
            |obtener\ outlook|obter\ (?:o\ )?outlook|wys[l\u0142]an[eoy]\ z|pobierz\ outlook
            |outlook\ voor\ (?:ios|android)|download\ outlook
            |verzonden\ (?:met|vanaf|via)|verstuurd)\b[^\n]* )""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_QUOTED_LINE = re.compile(r"^[ \t]*[>|]")


def reply_text(mail: ParsedMail) -> str:
    """What the writer of a reply has written, in lines; "" if nothing."""
    texts = mail.texts_of_type("text/plain")
    if texts and texts[0].strip():
        return _strip_quotations(texts[0])
    html = mail.texts_of_type("text/html")
    return _strip_quotations(html_to_text(html[0])) if html else ""


def _strip_quotations(text: str) -> str:
    """The text before the first quotation, or, if it begins with one, after it."""
    lines = text[:MAX_CHARACTERS].split("\n")
    quoted = [number for number, line in enumerate(lines) if _QUOTED_LINE.match(line)]
    above = _strip_signature(
        _text_before_quotation(
            "\n".join(lines[: quoted[0]] if quoted else lines)[:_MAX_REPLY_CHARACTERS]
        )
    )
    if above or not quoted:
        return above
    return _strip_signature("\n".join(lines[quoted[-1] + 1 :])[:_MAX_REPLY_CHARACTERS])


def _text_before_quotation(text: str) -> str:
    ends = [
        found.start() for pattern in (_SEPARATOR, _HEADER_BLOCK) if (found := pattern.search(text))
    ]
    attribution = _ATTRIBUTION_LINE.search(text)
    if attribution:
        ends.append(_attribution_start(text, attribution.start()))
    return text[: min(ends, default=len(text))]


def _attribution_start(text: str, at: int) -> int:
    """The start of the line at `at`, or of a line shortly before that it continues."""
    start = first = text.rfind("\n", 0, at) + 1
    if start and _ADDRESS_START.match(text, start) and text[start - 2 : start] != "\n\n":
        start = text.rfind("\n", 0, start - 1) + 1  # the name is on the line before
    for _ in range(_MAX_WRAPPED_LINES):
        if _ATTRIBUTION_START.match(text, first):
            return first
        first = text.rfind("\n", 0, max(first - 1, 0)) + 1
    return start


def _strip_signature(text: str) -> str:
    found = _SIGNATURE.search(text)
    return (text[: found.start()] if found else text).strip()
