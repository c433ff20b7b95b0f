"""A newsletter as it is received when all is well, and what may go wrong with it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from hashlib import sha256

from preference_center.catalogue import parse_catalogue
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.links import Links, list_unsubscribe_headers
from preference_center.core.links.offline import LinkMinter
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES, Link, LinkTopic, SenderKey
from preference_center.senders.mailcheck import check_email
from preference_center.senders.mailcheck.links import Installation, Severity
from tests.core.links.registry import FakeRegistry
from tests.in_force import CATALOGUE

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
RING = [("k2", b"2" * 32), ("k1", b"1" * 32)]
HOST = "choices.acme.example"
HOSTED = parse_catalogue(CATALOGUE.replace('name = "Acme"', f'name = "Acme"\nhost = "{HOST}"'))
KEY = SenderKey(7, "shop", "k2", ("acme.news",), NOW - timedelta(days=30))
REGISTRY = FakeRegistry({7: KEY, 8: replace(KEY, id=8, created_at=NOW - timedelta(days=800))})


def digest(address: Address) -> bytes:
    return REGISTRY.exact_digest(sha256(address.exact.encode()).digest())


LINKS = Links(RING, "https://prefs.example.com", "stop.example.com", REGISTRY)
OLDER = Links(RING[1:], "https://prefs.example.com", "stop.example.com", REGISTRY)


def digest_prefixes(address: Address) -> list[bytes]:
    return [digest(address)[:DIGEST_PREFIX_BYTES]]


OURS = Installation(LINKS, HOSTED, digest_prefixes)
ADA = parse_address("ada@example.com", Channel.EMAIL)
LINK = Link(ADA, "acme.news", "0198f1de-7c1a-7000-8000-0000000000ab", NOW)

DKIM = (
    "v=1; a=rsa-sha256; c=relaxed/relaxed; d=news.acme.example; s=k;\n"
    "\th=From:To:Subject:Date:List-Unsubscribe:\n\t List-Unsubscribe-Post; bh=x=; b=AbC="
)


def newsletter(link: Link = LINK, links: Links = LINKS, to: str = "Ada <Ada@Example.com>") -> str:
    """All is well with it."""
    headers = list_unsubscribe_headers(links, link, digest(link.address), HOST)
    return compose(headers, links.preferences_url(links.create_token(link), HOST), to)


def offline(number: int = 7) -> str:
    """The same, its links made by a sender."""
    key = REGISTRY.keys[number]
    minter = LinkMinter(
        LINKS.export_sender_key(key, [LinkTopic("acme.news", Channel.EMAIL, f"https://{HOST}")]),
        NOW.timestamp,
    )
    minted = minter.mint("ada@example.com", "acme.news", LINK.message_id)
    return compose(minted.headers, minted.preferences_url)


def compose(headers: dict[str, str], url: str, to: str = "Ada <Ada@Example.com>") -> str:
    mail = EmailMessage(policy.default.clone(max_line_length=998))
    mail["DKIM-Signature"] = "x"
    mail["From"] = "Acme <news@acme.example>"
    mail["To"] = to
    mail["Subject"] = "The news"
    mail["Date"] = "Tue, 24 Nov 2026 09:00:00 +0000"
    for name, value in headers.items():
        mail[name] = value
    mail.set_content(f"News.\n\nUnsubscribe: {url}\n", cte="quoted-printable")
    html = f'<p>News.</p><p><a href="{url}">Unsubscribe <b>or choose</b></a></p>'
    mail.add_alternative(html, subtype="html", cte="base64")
    return mail.as_string().replace("DKIM-Signature: x", f"DKIM-Signature: {DKIM}")


def codes(mail: str | bytes, *severities: Severity) -> set[str]:
    """What is found with it, errors and warnings only."""
    raw = mail if isinstance(mail, bytes) else mail.encode()
    wanted = severities or (Severity.ERROR, Severity.WARNING)
    return {one.code for one in check_email(raw, OURS, NOW) if one.severity in wanted}


def with_body(body: str, kind: str = "html") -> str:
    """The newsletter with another body."""
    head = newsletter().partition("\n\n")[0]
    head = re.sub(r"Content-Type:.*(\n[ \t].*)*", f"Content-Type: text/{kind}", head)
    return f"{head}\n\n{body}\n"
