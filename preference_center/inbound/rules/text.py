"""This module finds a person's own text in a mail, and whom a statement in a mail is about.

`reply_text` leaves out quotations and the signature. `html_to_text` reads HTML, up to what it
quotes. The standard library's parser takes quadratic time on hostile input; this one takes linear
time: it visits each tag once.

Mailboxes for replies, bounce reports and requests are separate because auto-replies go to the
bounce address (RULES A12): only the reply mailbox may opt people out by what they write, only the
report mailbox by reports without proof. Their addresses encode the topic.

`attribute_statement` states whom a statement is about and how that is proved, and `review_reason`
when staff must decide. Anybody can write a bounce or a complaint that names somebody else, but
nobody can forge a token of ours (see `inbound.mail`). So a token in a returned mail proves its
recipient.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Address
from preference_center.core.events import ALL_MARKETING
from preference_center.core.mime import ParsedMail
from preference_center.inbound.rules import MailKind, ReviewReason

MAX_HTML_CHARACTERS = 64 * 1024
"""Characters that are read."""


_TOKEN = re.compile(r"<(!--)|<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})([^<>]*)>|<[^<>]*>|[^<]+|<")


_CLASS_OR_ID = re.compile(r"""\b(?:class|id)=["']?([^"'<>]{1,200})""", re.IGNORECASE)


_BLOCK_TAGS = {"br", "p", "div", "li", "tr", "table", "h1", "h2", "h3", "ul", "ol"}


_BLOCKQUOTE_END = re.compile(r"</blockquote\s{0,9}>", re.IGNORECASE)


_HIDDEN_TAGS = {"style", "script", "head", "title"}


# What mail programs put around, or before, the quoted mail.
_QUOTE_CLASSES = {
    "gmail_quote",
    "gmail_attr",
    "yahoo_quoted",
    "moz-cite-prefix",
    "protonmail_quote",
}


_QUOTE_CLASSES |= {"divrplyfwdmsg", "appendonsend", "mail-editor-reference-message-container"}


_QUOTE_CLASSES |= {"tutanota_quote", "zwchr"}


_QUOTE_CLASS_SUFFIX = "yahoo_quoted"  # which Yahoo prefixes with an id of the mail


def html_to_text(html_source: str) -> str:
    """The text up to the first quotation, each block on a line of its own.

    Where there is none, that below the last `blockquote`, if the quotation is one.
    """
    above, mark = _text_before_mark(html_source[:MAX_HTML_CHARACTERS])
    is_block = mark.startswith("<blockquote") or "moz-cite-prefix" in mark
    ends = [*_BLOCKQUOTE_END.finditer(html_source, 0, MAX_HTML_CHARACTERS)] if is_block else []
    if above.strip() or not ends:
        return above
    return _text_before_mark(html_source[ends[-1].end() : MAX_HTML_CHARACTERS])[0]


def _text_before_mark(html_source: str) -> tuple[str, str]:
    """The text before the tag that begins a quotation, and that tag in lower case, if any."""
    found: list[str] = []
    position, hidden = 0, ""
    while position < len(html_source):
        token = _TOKEN.match(html_source, position)
        assert token  # one of its branches matches anything
        position = token.end()
        comment, closes, name, rest = token.groups()
        tag = (name or "").lower()
        if comment:
            position = _after_comment(html_source, position)
        elif hidden:
            hidden = "" if closes and tag == hidden else hidden
        elif tag in _HIDDEN_TAGS and not closes:
            hidden = tag
        elif tag == "blockquote" or (tag and _is_quote(rest)):
            return "".join(found), token[0].lower()
        elif tag in _BLOCK_TAGS:
            found.append("\n")
        elif token[0][0] != "<":
            found.append(_collapse_whitespace(token[0]))
    return "".join(found), ""


def _after_comment(page: str, position: int) -> int:
    """Where the text continues; a comment that never ends hides the rest."""
    end = page.find("-->", position)
    return len(page) if end < 0 else end + 3


def _is_quote(attributes: str) -> bool:
    return any(
        word in _QUOTE_CLASSES or word.endswith(_QUOTE_CLASS_SUFFIX)
        for found in _CLASS_OR_ID.finditer(attributes)
        for word in found[1].lower().split()
    )


def _collapse_whitespace(text: str) -> str:
    """Text as it is shown: white space becomes one space, or "" if there is nothing else."""
    shown = html.unescape(text).replace("\xa0", " ")
    words = " ".join(shown.split())
    return f"{words} " if words else " " * bool(shown)


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
      | [ \t]*(?:\w+\ ){0,3}outlook\ \w{2,5}\ (?:systemu\ )?(?:ios|android|mac)\b
            (?:\ \w+)?[ \t]*(?:[<(][^\n]*)?$
      | this\ message\ was\ automatically\ generated\ by\ gmail\.$
      | [ \t]*(?:sent\ (?:from|with|via)|inviato\ (?:da|con|dal)|(?:von|mit)\ (?:meinem?|der)
            |gesendet\ (?:mit|von|\u00fcber)|envoy[e\u00e9]\ (?:de|depuis|avec)
            |enviado\ (?:desde|do|de|con|a\ partir)|wys[l\u0142]an[eoy]\ z
            |verzonden\ (?:met|vanaf|via)|verstuurd)\b[^\n]* )""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)


_LEAST_SET_OFF = 3
"""Distance of two quoted lines with a blank line, another and a blank one between them."""


_QUOTED_LINE = re.compile(r"^[ \t]*[>|]")


def reply_text(mail: ParsedMail) -> str:
    """What the writer of a reply has written, in lines; "" if nothing."""
    for leaf in mail.text_parts:
        if leaf.content_type in {"text/plain", "text/html"} and leaf.text.strip():
            is_html = leaf.content_type == "text/html"
            return _strip_quotations(html_to_text(leaf.text) if is_html else leaf.text)
    return ""


def _strip_quotations(text: str) -> str:
    """The text before the first quotation, or, if it begins with one, between and after them."""
    lines = text[:MAX_CHARACTERS].split("\n")
    quoted = [number for number, line in enumerate(lines) if _QUOTED_LINE.match(line)]
    above = _strip_signature(
        _text_before_quotation(
            "\n".join(lines[: quoted[0]] if quoted else lines)[:_MAX_REPLY_CHARACTERS]
        )
    )
    if above or not quoted:
        return above
    return _strip_signature("\n".join(_unquoted(lines, quoted))[:_MAX_REPLY_CHARACTERS])


def _unquoted(lines: list[str], quoted: list[int]) -> list[str]:
    """The lines between quotations and after the last one.

    Between them only lines that are set off by blank ones: others may be the end of a quoted line
    that some program has wrapped.
    """
    found: list[str] = []
    for start, end in pairwise(quoted):
        if (
            end - start > _LEAST_SET_OFF
            and not lines[start + 1].strip()
            and not lines[end - 1].strip()
        ):
            found += lines[start + 1 : end]
    return found + lines[quoted[-1] + 1 :]


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


def scopes_of_tag(tag: str, catalogue: Catalogue) -> tuple[str, ...]:
    """What an opt-out sent to an address with this tag covers.

    The key of a topic means that topic, the key of a brand all topics that the brand mails;
    anything else, and a topic of another channel, all marketing: never less than was meant.
    """
    mailed = {key: topic for key, topic in catalogue.topics.items() if topic.channel.rules.is_email}
    for name in (tag.lower(), tag.lower().partition("+")[0]):
        found = tuple(key for key in mailed if key.lower() == name)
        found = found or tuple(key for key, topic in mailed.items() if topic.brand.lower() == name)
        if found:
            return found
    return (ALL_MARKETING,)


LINK, TOKEN, SIGNED, NONE = "link", "token", "dkim", "none"
"""Kinds of proof, as in the evidence of events."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The address that a statement is about, and the kind of proof."""

    address: Address
    proof: str


@dataclass(frozen=True, slots=True)
class MailTokens:
    """The tokens of a mail: distinct addresses in links, a digest prefix for each mailto token."""

    addresses: Sequence[Address]
    prefixes: Sequence[bytes]
    has_links: bool


def attribute_statement(
    reported: Sequence[Address],
    tokens: MailTokens,
    digest_prefixes: Callable[[Address], Collection[bytes]],
    find_by_prefix: Callable[[bytes], Address | None],
    *,
    is_only_recipient: bool,
) -> Attribution | None:
    """The address that a statement is about: the token's, or, without proof, the reported one.

    `reported` are the addresses that the statement names. `is_only_recipient` is whether the
    report is about one recipient only: then a token decides, even against the reported name,
    which is a forwarding address, or forged. None if the address can't be determined.
    """
    for address in reported:
        if address in tokens.addresses:
            return Attribution(address, LINK)
        if not set(tokens.prefixes).isdisjoint(digest_prefixes(address)):
            return Attribution(address, TOKEN)
    if is_only_recipient and len(tokens.addresses) == 1:
        return Attribution(tokens.addresses[0], LINK)
    if is_only_recipient and not tokens.has_links and len(tokens.prefixes) == 1:
        known = find_by_prefix(tokens.prefixes[0])
        return Attribution(known, TOKEN) if known else None
    return Attribution(reported[0], NONE) if reported else None


def review_reason(
    kind: MailKind,
    attribution: Attribution | None,
    *,
    for_replies: bool,
    trusts_reports: bool,
    is_ours: Callable[[Address], bool],
) -> ReviewReason | None:
    """Why staff must decide about a statement in a mail of this kind; None if they need not.

    `for_replies`: it was sent to a mailbox for replies. `trusts_reports`: reports without proof
    are accepted there. `is_ours`: whether marketing is sent from an address, or mail to us at it.
    """
    if kind is MailKind.REPLY:
        if not for_replies:
            return ReviewReason.WRONG_MAILBOX
        return None if attribution else ReviewReason.UNCLEAR
    if attribution is None or (
        attribution.proof in {NONE, SIGNED} and is_ours(attribution.address)
    ):
        return ReviewReason.NO_RECIPIENT
    is_proved = attribution.proof != NONE
    return None if trusts_reports or is_proved else ReviewReason.UNPROVEN
