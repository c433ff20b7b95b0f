"""The service mails one-time links to addresses that nobody has proven are theirs.

The address is one that somebody typed, or that of a link. The work done, one row in the outbox, is
the same whether the address is known, unknown or erased, so nobody can find out who is in the
database. A mailed link opens the page once: its token is stored once it was used.

Short links are stored here too: a row can be opened with its code alone (`core.links.tokens`).
Rows are never deleted: a link in a message opts out for ever (I7). They name nobody, before and
after an erasure (I6): neither an address nor a digest of one can be computed from them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from flask import request

from preference_center.catalogue import Brand
from preference_center.core.addresses import Address, Channel, mask_address, parse_address
from preference_center.core.errors import InvalidAddress, InvalidLink
from preference_center.core.links.tokens import (
    INVALID_LINK_MESSAGE,
    LIFETIMES,
    TokenPurpose,
    lookup_value,
    new_code,
    open_content,
    seal_content,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.outbox import (
    LANGUAGE_SWITCHED,
    EmailKind,
    OutgoingEmail,
    enqueue_emails,
)
from preference_center.web.emails import may_email
from preference_center.web.languages import chosen_language, page_language
from preference_center.web.pages.rendering import catalogue_or_empty, lead_brand


def queue_one_time_link(
    address: Address,
    kind: EmailKind,
    purpose: TokenPurpose,
    path: str,
    *,
    brand: Brand | None,
    language: str,
    is_chosen: bool,
    values: Mapping[str, str] | None = None,
) -> bool:
    """Queue such an email; false if UNPROVEN_EMAIL_RATE of this mailbox is reached.

    `path` is the first part of the link's path: the token follows it. `language` (BCP 47) is that
    of the email unless the contact has another; if somebody has chosen it, in any case. `values`
    are those of the email besides the link.
    """
    if not may_email(address):
        return False
    context = services()
    now, email_id = context.now(), context.new_id()
    token = context.links.create_one_time_token(purpose, address, email_id, now)
    base_url = context.links.base_url(brand.host if brand else None)
    values = {"link": f"{base_url}/{path}/{token}", **(values or {})}
    if is_chosen:
        values[LANGUAGE_SWITCHED] = language
    enqueue_emails(
        [
            OutgoingEmail(
                id=email_id,
                kind=kind,
                recipient=address,
                language=language,
                brand=brand.key if brand else None,
                values=values,
                expires_at=now + LIFETIMES[purpose],
                unproven=True,
            )
        ]
    )
    return True


REQUEST_RATE = "3 per hour; 10 per day"
"""Requests about one mailbox that anybody can make, of one kind: beyond it none is recorded."""


_SEPARATORS = re.compile(r"[\s,;]+")


_MAX_ADDRESS_LENGTH = 320  # characters; RFC 5321 4.5.3.1 allows fewer still


@dataclass(frozen=True, slots=True)
class GivenAddress:
    """The posted address to email, or what is wrong with it."""

    display_address: str = field(repr=False)
    """What the page may show: the typed text, or a token's address, masked (RULES C6)."""
    address: Address | None = None
    error: str = ""
    """`phone`, `several` or `invalid`."""


def read_typed_address() -> GivenAddress:
    """The email address in the form's field `address`."""
    typed = request.form.get("address", "").strip()[:_MAX_ADDRESS_LENGTH]
    try:
        return GivenAddress(typed, parse_address(typed, Channel.EMAIL))
    except InvalidAddress:
        return GivenAddress(typed, error=_find_error(typed))


def address_of_link(address: Address) -> GivenAddress:
    """The address of a link, as long as it can be emailed; its holder may be somebody else."""
    if not address.channel.rules.is_email:
        return GivenAddress("", error="phone")
    return GivenAddress(mask_address(address), address)


def send_one_time_link(
    address: Address,
    kind: EmailKind,
    purpose: TokenPurpose,
    path: str,
    values: Mapping[str, str] | None = None,
) -> bool:
    """Queue an email with a one-time link; false if UNPROVEN_EMAIL_RATE of the mailbox is reached.

    A page may say so: emails to known and to unknown addresses count alike.
    """
    return queue_one_time_link(
        address,
        kind,
        purpose,
        path,
        brand=lead_brand(tuple(catalogue_or_empty().brands.values())),
        language=page_language(),
        is_chosen=chosen_language() is not None,
        values=values,
    )


def is_cross_site() -> bool:
    """Whether a page of another site sent this (Fetch Metadata, else RFC 6454).

    There is no session and no cookie to protect; but other sites must not use their
    visitors' networks to make us send email.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin", "null")  # "null": our own, by no-referrer
    ours = {request.host, urlsplit(services().settings.public_url).netloc}
    ours.update(brand.host for brand in catalogue_or_empty().brands.values() if brand.host)
    return origin != "null" and urlsplit(origin).netloc not in ours


def _find_error(typed: str) -> str:
    if _is_phone(typed):
        return "phone"
    parts = [part for part in _SEPARATORS.split(typed) if "@" in part]
    return "several" if len(parts) > 1 else "invalid"


def _is_phone(typed: str) -> bool:
    try:
        parse_address(typed, Channel.PHONE, region=services().settings.phone_region)
    except InvalidAddress:
        return False
    return True


REUSE_GRACE = timedelta(minutes=2)
"""A button pressed twice, or a page reloaded immediately, is one use."""


_CONSUME = """
INSERT INTO consumed_one_time_token AS s (id, consumed_at, expires_at)
VALUES (%(id)s, %(now)s, %(expires_at)s)
ON CONFLICT (id) DO UPDATE SET consumed_at = s.consumed_at
RETURNING consumed_at
"""


def consume_token(
    connection: Connection, token_id: UUID, *, now: datetime, expires_at: datetime
) -> bool:
    """Consume a token. True if this use is valid: the first one, or within REUSE_GRACE of it.

    Concurrent uses are serialized. A token is stored until `expires_at`; expired ones are
    deleted on the way.
    """
    connection.execute("DELETE FROM consumed_one_time_token WHERE expires_at < %s", (now,))
    given = {"id": token_id, "now": now, "expires_at": expires_at}
    row = connection.execute(_CONSUME, given).fetchone()
    assert row
    first: datetime = row[0]
    return now - first <= REUSE_GRACE


_INSERT = """
INSERT INTO short_link (lookup, content, created_at)
SELECT lookup, content, %(now)s
FROM unnest(%(lookups)s::bytea[], %(contents)s::bytea[]) AS given (lookup, content)
"""


def insert_short_links(connection: Connection, paths: Sequence[str], now: datetime) -> list[str]:
    """Store the paths of these pages, such as `u/TOKEN`; returns a new code for each."""
    codes = [new_code() for _ in paths]
    given = {
        "lookups": [*map(lookup_value, codes)],
        "contents": [seal_content(code, path) for code, path in zip(codes, paths, strict=True)],
        "now": now,
    }
    connection.execute(_INSERT, given)
    return codes


def find_path(connection: Connection, code: str) -> str:
    """The path that a code stands for. Raises InvalidLink for an unknown code."""
    row = connection.execute(
        "SELECT content FROM short_link WHERE lookup = %s", (lookup_value(code),)
    ).fetchone()
    if row is None:
        raise InvalidLink(INVALID_LINK_MESSAGE)
    return open_content(code, row[0])
