"""The forms under which the service may know an address: the rules of its plain addresses.

Tested equal to the service's own. Whatever is not plain ASCII has no forms here: ask the service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

NORM_VERSION = 1
"""Version of the service's rules that these are."""

_MAX_BYTES = 254  # RFC 5321 4.5.3.1.3 less its angle brackets
_MAX_DOMAIN = 63  # so short a domain has no label that is too long (RFC 1035 2.3.4)
_PLAIN = re.compile(
    r"[a-z0-9_!#$%&'*/=?^`{|}~+-]+(?:\.[a-z0-9_!#$%&'*/=?^`{|}~+-]+)*"
    r"@((?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion)\Z)[a-z]{2,})"
)


class _Provider(NamedTuple):
    domain: str
    ignores_dots: bool = False


def _build_providers() -> dict[str, _Provider]:
    providers = {
        **dict.fromkeys(("gmail.com", "googlemail.com"), _Provider("gmail.com", ignores_dots=True)),
        **dict.fromkeys(
            ("proton.me", "protonmail.com", "protonmail.ch", "pm.me"), _Provider("proton.me")
        ),
        **dict.fromkeys(("icloud.com", "me.com", "mac.com"), _Provider("icloud.com")),
    }
    tops = ("com", "it", "de", "fr", "es", "at", "be", "dk", "ie", "pt", "co.uk")
    own = [f"{brand}.{top}" for brand in ("outlook", "hotmail", "live") for top in tops]
    own += ["msn.com", "fastmail.com", "fastmail.fm"]
    return providers | {domain: _Provider(domain) for domain in own}


PROVIDERS: Mapping[str, _Provider] = _build_providers()
"""Mailbox providers whose rules for tags, dots and domains the service knows."""


def forms(raw: str) -> tuple[str, ...] | None:
    """The address and the wider forms of its mailbox, canonical; None if it is not plain."""
    if not raw.isascii():
        return None
    exact = raw.lower()
    plain = _PLAIN.fullmatch(exact)
    if plain is None or len(exact) > _MAX_BYTES:
        return None
    domain = plain[1]
    if len(domain) > _MAX_DOMAIN:
        return None
    provider = PROVIDERS.get(domain)
    if provider is None:
        if exact.find("+") > 0:  # a leading plus is no tag
            return exact, f"{exact.partition('+')[0]}@{domain}"
        return (exact,)
    mailbox = _mailbox(exact[: -len(domain) - 1], provider)
    return (exact,) if mailbox == exact else (exact, mailbox)


def _mailbox(local: str, provider: _Provider) -> str:
    name = local.partition("+")[0] or local
    if provider.ignores_dots:
        name = name.replace(".", "") or name
    return f"{name}@{provider.domain}"
