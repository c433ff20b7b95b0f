"""An address has one canonical form, and wider forms that a suppression matches.

The rules of the canonical form are those of the pairs in `tests/corpus/address_pairs.json`: NFC
and locale-free lower case, UTS-46 A-label domains, invisible characters and redundant quotes
removed; never confusable folding, accent folding or typo correction, by which one person's opt-out
would suppress another's mailbox.

The wider forms follow rules that a mailbox provider states itself, about tags, dots and domains
that reach one mailbox, and only where the domains are one name space: yahoo.com and yahoo.it are
two people, and a Hide My Email relay is nobody but itself. A change of any rule here changes
stored keys: raise `NORM_VERSION` with it.

`matches` is wide, to suppress; `is_same_address` is narrow, to reveal (I9).

A `HashedAddress` is an address of which only a hash is known, as vendors and partners hand over
lists. A hash stands for one string, as its maker wrote it: nearly always the address trimmed and
in lower case, in UTF-8 (Mailchimp's subscriber hash is the MD5 of exactly that). Where that is our
canonical form too, the hash is found; a domain left in Unicode or a phone number other than E.164
is not found, and nothing can tell.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntFlag, StrEnum
from typing import Final, assert_never

import email_validator
import idna
import phonenumbers

from preference_center.core.channels import AddressSyntax
from preference_center.core.channels import Channel as Channel  # noqa: PLC0414 - read from here
from preference_center.core.errors import InvalidAddress


@dataclass(frozen=True, slots=True)
class MailboxProvider:
    """How one domain's owner reads the part before the @. `+tag` always falls away.

    `domain` is the name under which its aliases are kept; `ignores_dots` as at Gmail.
    """

    domain: str
    ignores_dots: bool = False

    def mailbox_address(self, local: str) -> str:
        """The mailbox that a canonical local part reaches, as a canonical address."""
        if local[0] == '"':  # a quoted local part is literal
            return f"{local}@{self.domain}"
        # A leading plus has nothing before it to be a tag of.
        name = local.partition("+")[0] or local
        if self.ignores_dots:
            name = name.replace(".", "") or name
        return f"{name}@{self.domain}"


def _build_providers() -> dict[str, MailboxProvider]:
    # Dots, tags and the German and British name: support.google.com/mail/answer/7436150
    gmail = MailboxProvider("gmail.com", ignores_dots=True)
    # One account owns all of its name's domains: proton.me/support/addresses-and-aliases
    proton = MailboxProvider("proton.me")
    # Addresses of @mac.com and @me.com got the same name at @icloud.com:
    # support.apple.com/102540
    icloud = MailboxProvider("icloud.com")
    rules = {
        **dict.fromkeys(("gmail.com", "googlemail.com"), gmail),
        **dict.fromkeys(("proton.me", "protonmail.com", "protonmail.ch", "pm.me"), proton),
        **dict.fromkeys(("icloud.com", "me.com", "mac.com"), icloud),
    }
    # Outlook.com reads tags at each of its domains, but the domains are separate names.
    national = ("com", "it", "de", "fr", "es", "at", "be", "dk", "ie", "pt", "co.uk")
    for brand in ("outlook", "hotmail", "live"):
        rules |= {f"{brand}.{top}": MailboxProvider(f"{brand}.{top}") for top in national}
    # fastmail.help: plus addressing; each domain is a name space of its own.
    for domain in ("msn.com", "fastmail.com", "fastmail.fm"):
        rules[domain] = MailboxProvider(domain)
    return rules


PROVIDERS: Mapping[str, MailboxProvider] = _build_providers()
"""The known providers by canonical domain."""


NORM_VERSION = 1
"""Version of the canonical form and of the provider rules.

Stored with every digest: raise it whenever `parse_address` or `PROVIDERS` changes a result.
Then, or when a library changes one, no process starts before `flask addresses renormalise`.
"""


MAX_EMAIL_BYTES = 254
"""Longest email address in UTF-8 bytes: RFC 5321 4.5.3.1.3 less its angle brackets."""


_MAX_INPUT_CHARS = 1000  # characters looked at, wrappers and display name included


_MAX_PHONE_CHARS = 100  # characters of a number as people write it: E.164 has 15 digits


_MAX_LABEL_CHARS = 63  # so short a domain has no label that is too long (RFC 1035 2.3.4)


class KeyKind(IntFlag):
    """Which forms of an address one canonical string (or its digest) stands for."""

    EXACT = 1
    MAILBOX = 2
    BASE = 4


_EXACT_AND_MAILBOX = KeyKind.EXACT | KeyKind.MAILBOX  # enum arithmetic is slow: once


_EMAIL: Final = Channel.EMAIL


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """One address and its forms, all canonical. Made by `parse_address`.

    `exact` is the address itself; `mailbox` the mailbox it reaches by its provider's own rules
    (the same string where no rule applies); `base` the address without its tag where it has
    one and the domain is no known provider, else None.
    """

    channel: Channel
    exact: str
    mailbox: str
    base: str | None

    def forms(self) -> Mapping[str, KeyKind]:
        """Each canonical string of this address with all the kinds it stands for."""
        if self.mailbox == self.exact:
            forms = {self.exact: _EXACT_AND_MAILBOX}
        else:
            forms = {self.exact: KeyKind.EXACT, self.mailbox: KeyKind.MAILBOX}
        if self.base is not None:
            forms[self.base] = KeyKind.BASE
        return forms

    def __repr__(self) -> str:
        """Masked, so that no log or traceback shows the address (I12)."""
        return f"<Address {self.channel.value} {mask_address(self)}>"


SUPPORTED_REGIONS: frozenset[str] = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""What `region` may be, as ISO 3166-1 alpha-2."""


def parse_address(raw: str, channel: Channel, *, region: str | None = None) -> Address:
    """Canonicalise `raw`, as found in a form, a CSV cell, a report or a vendor's payload.

    `region` (ISO 3166-1 alpha-2) reads phone numbers written without a country code; without
    one they are refused.
    Raises InvalidAddress, whose message names the fix and never holds the address.
    """
    if channel is _EMAIL and raw.isascii():  # the fast path
        plain = raw.lower()
        if len(plain) <= MAX_EMAIL_BYTES and _PLAIN_EMAIL.fullmatch(plain):
            local, _, domain = plain.partition("@")
            if len(domain) <= _MAX_LABEL_CHARS:
                return _build_email_address(plain, local, domain)
    match channel.rules.syntax:
        case AddressSyntax.EMAIL:
            return _parse_email(raw)
        case AddressSyntax.PHONE_NUMBER:
            return _parse_phone(raw, channel, region)
        case _:
            assert_never(channel.rules.syntax)


def may_match(candidate: KeyKind, stored: KeyKind) -> bool:
    """Whether a candidate's form suppresses, given one string or digest shared with a row.

    Like meets like, and one tag meets its base in both directions; never base with base:
    at an unknown domain two tags may be two people.
    """
    return _MAY_MATCH[candidate][stored]


def matches(candidate: Address, suppressed: Address) -> bool:
    """Whether a suppression of one address covers the other, by any form (I9)."""
    stored = suppressed.forms()
    return any(
        form in stored and may_match(kind, stored[form]) for form, kind in candidate.forms().items()
    )


def is_same_address(first: Address, second: Address) -> bool:
    """Whether control of one address may open the data of the other: exact only (I9)."""
    return first.exact == second.exact


def mask_address(address: Address) -> str:
    """The address as it may be shown on a page: `j***@d***.it`, `+39 *** **67`."""
    match address.channel.rules.syntax:
        case AddressSyntax.EMAIL:
            return _mask_email(address.exact)
        case AddressSyntax.PHONE_NUMBER:
            country = phonenumbers.parse(address.exact).country_code
            return f"+{country} *** **{address.exact[-2:]}"
        case _:
            assert_never(address.channel.rules.syntax)


def _mask_email(exact: str) -> str:
    local, _, domain = exact.rpartition("@")
    first = local.lstrip('"\\')[:1]
    if domain.startswith("["):
        return f"{first}***@[***]"
    name, _, top = idna.decode(domain).rpartition(".")
    return f"{first}***@{name[:1]}***.{top}"


def _kinds_match(candidate: int, stored: int) -> bool:
    exact, mailbox, base = KeyKind.EXACT.value, KeyKind.MAILBOX.value, KeyKind.BASE.value
    return bool(
        candidate & stored & (exact | mailbox)
        or (candidate & exact and stored & base)
        or (candidate & base and stored & exact)
    )


# All 64 results, computed once: bulk checks ask this for every row found.
_MAY_MATCH = tuple(tuple(_kinds_match(p, s) for s in range(8)) for p in range(8))


# The fast path: what the slow one leaves alone but for case. ASCII dot-atom (RFC 5322
# 3.2.3), labels without "--" (A-labels and reserved ones go the slow way), a top level of
# letters that is not one of email-validator's special-use names.
_PLAIN_EMAIL = re.compile(
    r"[a-z0-9_!#$%&'*/=?^`{|}~+-]+(?:\.[a-z0-9_!#$%&'*/=?^`{|}~+-]+)*"
    r"@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion)\Z)[a-z]{2,}"
)


def _build_email_address(exact: str, local: str, domain: str) -> Address:
    """An email address from its canonical parts, with the forms its provider implies."""
    provider = PROVIDERS.get(domain)
    if provider is not None:
        return Address(_EMAIL, exact, provider.mailbox_address(local), None)
    base = None
    if local.find("+") > 0 and local[0] != '"':  # a leading plus is no tag
        base = f"{local.partition('+')[0]}@{domain}"
    return Address(_EMAIL, exact, exact, base)


# Unicode's Default_Ignorable_Code_Point: what no reader sees (BOM, soft hyphen, bidi
# marks). The two joiners, U+200C and U+200D, can tell two domains apart (UTS-46
# non-transitional), so they are only dropped at the ends and before the @.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


_JOINERS = re.compile("[\u200c\u200d]")


_FULLWIDTH = re.compile("[\u3000\uff01-\uffee]")


_CONTROL_CHARS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


# Possessive where two parts could take the same characters: backtracking through them took
# a time quadratic in the length of the text.
_NAME_ADDR = re.compile(r'(?:"(?:[^"\\]|\\.)*+"\s*+|[^<>@"(),:;]*+)<(.*)>')


# Dots anywhere: "jane.@" and "ja..ne@" are real at some carriers, though no dot-atom.
_ATOM_CHARS = re.compile(r'[^\s"(),:;<>@\[\\\]\x00-\x20\x7f]+')


_MAX_TRUNK_PREFIXES = 4  # readings after which a number that still changes is none


_ROOT_DOTS = ".\u3002\uff0e\uff61"


# Letters only as the mark of an extension, so that free text is not mined for digits.
_PHONE_TEXT = re.compile(
    r"(?:tel:)?\+?[\d\s()./\-\u2010-\u2015]++"
    r"(?:(?:;ext=|,|#|(?:ext|extn|extension|x|int|interno)\b\.?)\s*+\d{1,7}#?)?",
    re.IGNORECASE,
)


def _normalize_text(raw: str) -> str:
    """`raw` in NFC and narrow letters, without what cannot be seen; one line or refused."""
    if len(raw) > _MAX_INPUT_CHARS:
        raise InvalidAddress("The address is far too long: send one address per field.")
    text = _INVISIBLE.sub("", raw)
    text = text.strip().strip("\u200c\u200d").strip()
    if not text:
        raise InvalidAddress("The address is empty: send one.")
    if _CONTROL_CHARS.search(text):
        raise InvalidAddress(
            "The address holds a line break or control character: send it without."
        )
    return unicodedata.normalize("NFC", _FULLWIDTH.sub(_to_normal_width, text))


def _to_normal_width(match: re.Match[str]) -> str:
    """The usual letter of a full-width or half-width one (PRECIS width mapping, RFC 8265)."""
    kind, _, code = unicodedata.decomposition(match[0]).partition(" ")
    return chr(int(code, 16)) if kind in ("<wide>", "<narrow>") else match[0]


def _strip_display_name(text: str) -> str:
    """The bare address out of `mailto:` and of a display name with angle brackets."""
    if text[:7].lower() == "mailto:":
        text = text[7:].partition("?")[0]  # RFC 6068: header fields follow
    wrapped = _NAME_ADDR.fullmatch(text)
    return (wrapped[1] if wrapped else text).strip()


def _parse_email(raw: str) -> Address:
    """All of the rules; `parse_address` has a fast path for plain ASCII addresses."""
    local, at, domain = _strip_display_name(_normalize_text(raw)).rpartition("@")
    if not at or not local or not domain:
        raise InvalidAddress("An email address is a name, one @ and a domain: write it like that.")
    if domain[-1] in _ROOT_DOTS:
        domain = domain[:-1]
    local = _JOINERS.sub("", local)
    quoted = f'"{local}"' if _ATOM_CHARS.fullmatch(local) and _has_irregular_dots(local) else local
    checked = _validate_email(f"{quoted}@{domain}")
    if checked is None:
        raise InvalidAddress(
            "The email address can't be parsed: send one address, like name@example.com,"
            " with no comment, list or space in it and with a public domain name."
        )
    local, domain = checked.local_part, checked.ascii_domain
    if local[0] == '"' and _ATOM_CHARS.fullmatch(local[1:-1]):
        local = local[1:-1]
    # lower() without a locale; once more NFC, since lower case may compose again.
    local = unicodedata.normalize("NFC", local.lower())
    exact = f"{local}@{domain}"
    if len(exact.encode()) > MAX_EMAIL_BYTES:
        raise InvalidAddress(
            f"The email address is longer than {MAX_EMAIL_BYTES} bytes: shorten it."
        )
    return _build_email_address(exact, local, domain)


def _has_irregular_dots(local: str) -> bool:
    return local[0] == "." or local[-1] == "." or ".." in local


def _validate_email(text: str) -> email_validator.ValidatedEmail | None:
    """email-validator's result; None instead of its error, whose text quotes the input."""
    try:
        return email_validator.validate_email(
            text,
            allow_smtputf8=True,
            allow_quoted_local=True,
            allow_domain_literal=True,
            allow_display_name=False,
            strict=False,  # local parts over 64 bytes exist: VERP
            check_deliverability=False,
            test_environment=True,  # lets .test pass
            globally_deliverable=True,
        )
    except email_validator.EmailNotValidError:
        return None


def _parse_phone(raw: str, channel: Channel, region: str | None) -> Address:
    """E.164 without the extension; numbers of a possible length, assigned or not."""
    text = _JOINERS.sub("", _normalize_text(raw))
    dialled = len(text) <= _MAX_PHONE_CHARS and _PHONE_TEXT.fullmatch(text)
    number = _to_e164(text, region) if dialled else None
    if number is None:
        raise InvalidAddress(
            "The phone number can't be parsed: send one number in international form,"
            " like +39 and the digits."
        )
    return Address(channel, number, number, None)


def _to_e164(text: str, region: str | None) -> str | None:
    """The number in E.164, or None where it can't be one."""
    for _ in range(_MAX_TRUNK_PREFIXES):
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            return None
        # Possible, not valid: a range newer than the library's data must be able to stop.
        possible = phonenumbers.is_possible_number_with_reason(number)
        if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
            return None
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        if e164 == text:
            return e164
        text = e164  # once more: a trunk prefix may stand behind another
    return None


HASHED_ADDRESS_KINDS = KeyKind.EXACT | KeyKind.MAILBOX
"""What the one string behind a hash may be: an address, and the mailbox of its other forms.

As if the address had been given readable, so that it covers `j.ane@gmail.com` where the
hash is that of `jane@gmail.com`. If the string is no mailbox form itself (it has a tag, or
dots at Gmail), no candidate has it as one, and the wider kind matches nothing. What can't be
derived from a hash are the string's own wider forms: the hash of `j.ane@gmail.com` covers that
address alone, the hash of `jane+x@example.com` not `jane@example.com`. Once the address itself
becomes known, by any event, a SHA-256 is found to be its hash and covers what it covers; an
MD5 stays as it was.
"""


_HEX = re.compile(r"[0-9a-fA-F]+")


class HashAlgorithm(StrEnum):
    """How it was hashed."""

    SHA256 = "sha256"
    MD5 = "md5"
    KEYED = "keyed"
    """Not a list's: our own digest, by which a stored row is known when nothing else is left."""


LIST_ALGORITHMS = (HashAlgorithm.SHA256, HashAlgorithm.MD5)
"""Those of lists that are handed over hashed."""


_ALGORITHM_BY_LENGTH = {64: HashAlgorithm.SHA256, 32: HashAlgorithm.MD5}


@dataclass(frozen=True, slots=True, repr=False)
class HashedAddress:
    """The hash of one address, 32 bytes (SHA-256) or 16 (MD5). Made by `parse_hashed_address`.

    One that is KEYED, 32 bytes, is made from a stored row only.

    Guessing the address from it is easy: it is personal data, and never stored as it is.
    """

    channel: Channel
    algorithm: HashAlgorithm
    digest: bytes

    def __repr__(self) -> str:
        """Without the bytes, by which an address can be guessed (I12)."""
        return f"<Hashed {self.channel.value} {self.algorithm.value}>"


def parse_hashed_address(raw: str, channel: Channel) -> HashedAddress:
    """The hash written as 64 (SHA-256) or 32 (MD5) hexadecimal digits, in either case.

    Raises InvalidAddress, whose message names the fix and does not hold the hash.
    """
    text = raw.strip()
    algorithm = _ALGORITHM_BY_LENGTH.get(len(text))
    if algorithm is None or not _HEX.fullmatch(text):
        raise InvalidAddress(
            "The hash can't be read: send the 64 hexadecimal digits of a SHA-256,"
            " or the 32 of an MD5, with nothing around them."
        )
    return HashedAddress(channel, algorithm, bytes.fromhex(text))
