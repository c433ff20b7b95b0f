"""Whether a DKIM signature covers the two headers (RFC 8058 4). Signatures are not verified.

Only the recipient's server can do that: keys in the DNS change, and every hop may have changed the
mail. What any copy of a mail shows is what a signature claims to cover.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.utils import getaddresses

from preference_center.senders.mailcheck.findings import Finding, error, ok, warning

_REQUIRED_HEADERS = frozenset({"list-unsubscribe", "list-unsubscribe-post"})
_SOURCE = "RFC 8058 4"
_RESULT = re.compile(r"\bdkim\s*=\s*(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DkimSignature:
    """The claims of one signature."""

    domain: str
    covered: frozenset[str]
    """Names of headers in lower case."""


def check_dkim(mail: Message) -> Iterator[Finding]:
    """All findings about DKIM."""
    signatures = [_parse_signature(str(value)) for value in mail.get_all("DKIM-Signature", [])]
    if not signatures:
        yield error(
            "dkim_missing",
            "There is no DKIM signature. Mail clients then show no unsubscribe button.",
            "Sign the mail with DKIM, both headers included. If this copy was saved before it"
            " was signed, check one that was received.",
            _SOURCE,
        )
        return
    covering = [each for each in signatures if each.covered >= _REQUIRED_HEADERS]
    if not covering:
        yield _not_covered_finding(signatures)
        return
    yield ok("dkim_covers", "A DKIM signature covers both headers.")
    domains = _from_domains(mail)
    if not any(_is_aligned(each.domain, domain) for each in covering for domain in domains):
        yield warning(
            "dkim_foreign",
            f"It is by {', '.join(sorted({each.domain for each in covering}))}, which is not the"
            " domain in From.",
            "Sign with the domain in From (d=), or DMARC can't rely on it.",
            "RFC 7489 3.1.1; Google, email sender guidelines",
        )
    yield from _check_results(mail.get_all("Authentication-Results", []))


def _not_covered_finding(signatures: Iterable[DkimSignature]) -> Finding:
    best = max(signatures, key=lambda each: len(each.covered & _REQUIRED_HEADERS))
    missing = sorted(name.title() for name in _REQUIRED_HEADERS - best.covered)
    lacking = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in h="
    return error(
        "dkim_not_covering",
        f"No DKIM signature covers both headers: {lacking}. Gmail, Yahoo and Apple"
        " then show no unsubscribe button.",
        "Add both names to the signed headers, or set the headers before signing.",
        _SOURCE,
    )


def _check_results(values: Iterable[object]) -> Iterator[Finding]:
    """The receiver's own result, where the mail contains it."""
    results = {found.lower() for value in values for found in _RESULT.findall(str(value))}
    if results and "pass" not in results:
        yield error(
            "dkim_failed",
            "The receiver could not verify any DKIM signature.",
            "Check Authentication-Results in the mail: was it changed after signing, or is"
            " the key missing in the DNS?",
            "RFC 8058 4; RFC 8601",
        )


def _parse_signature(value: str) -> DkimSignature:
    tags = _parse_tags(value)
    names = (name.strip().lower() for name in tags.get("h", "").split(":"))
    return DkimSignature(tags.get("d", "").lower(), frozenset(names))


def _parse_tags(value: str) -> Mapping[str, str]:
    """The tags of a signature, without white space (RFC 6376 3.2)."""
    pairs = (pair.partition("=") for pair in re.sub(r"\s+", "", value).split(";"))
    return {name: found for name, _, found in pairs if name}


def _from_domains(mail: Message) -> list[str]:
    values = [str(value) for value in mail.get_all("From", [])]
    return [address.rpartition("@")[2].lower() for _, address in getaddresses(values)]


def _is_aligned(signer: str, author: str) -> bool:
    """Relaxed alignment, by suffix: a domain also signs for its subdomains."""
    pair = (f".{signer}", f".{author}")
    return "." in signer and (pair[0].endswith(pair[1]) or pair[1].endswith(pair[0]))
