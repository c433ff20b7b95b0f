"""Whether a report was signed by the provider that sends it: DKIM (RFC 6376), by dkimpy.

Decision 45 explains what that proves. A key is looked up only if the From address is trusted by
the company, and only in that address's own domain; other mail causes no look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from email.message import Message
from email.parser import BytesHeaderParser
from typing import TypeAlias

import dkim
import structlog

from preference_center.core.mime import field_values, parse_addresses

log = structlog.get_logger()

Resolver: TypeAlias = Callable[..., bytes | str | None]
"""`resolver(name, timeout=seconds)`: the TXT record of a DNS name; None if it has none."""

DNS_TIMEOUT = 5
"""Timeout of one key look-up."""
MAX_SIGNATURES = 3
"""Signatures of a mail that are verified."""


def has_trusted_signature(mail: bytes, senders: Collection[str], resolver: Resolver) -> bool:
    """Whether a whole mail is from one of `senders`, by a signature of that address's domain.

    `senders` are addresses, or domains as in `@example.com`, in lower case. The signature must
    cover From and the entire body, and its domain must be that of From or a parent of it
    (relaxed alignment, RFC 7489 3.1.1). False if a key is not available. Raises nothing.
    """
    try:
        header = BytesHeaderParser().parsebytes(mail)
        domain = _trusted_domain(header, senders)
        return domain is not None and _verify_signature(mail, header, domain, resolver)
    except Exception as error:  # noqa: BLE001 - what can't be verified proves nothing
        log.warning("signature_unverified", error=type(error).__name__)
        return False


def _trusted_domain(header: Message, senders: Collection[str]) -> str | None:
    """The domain of the only From address, if it is trusted."""
    fields = field_values(header, "From")
    found = parse_addresses(fields)
    if len(fields) != 1 or len(found) != 1:
        return None
    address = found[0].lower()
    domain = address.rpartition("@")[2]
    return domain if domain and {address, f"@{domain}"} & set(senders) else None


def _verify_signature(mail: bytes, header: Message, domain: str, resolver: Resolver) -> bool:
    signatures = field_values(header, "DKIM-Signature")
    for number, text in enumerate(signatures[:MAX_SIGNATURES]):
        tags = dkim.util.parse_tag_value("".join(text.split()).encode("ascii", "replace"))
        signer = tags.get(b"d", b"").decode().lower().rstrip(".")
        aligned = domain == signer or domain.endswith(f".{signer}")
        # A partly signed body (l=) may be continued by anybody.
        if not aligned or "." not in signer or b"l" in tags:
            continue
        if dkim.DKIM(mail, timeout=DNS_TIMEOUT).verify(number, resolver):
            return True
    return False
