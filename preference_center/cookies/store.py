"""Store what browsers chose about cookies: rows are added and expire, and never change.

No row is anybody's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Identity, Index, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.catalogue.rules.sites import CookieCategory
from preference_center.cookies.rules import (
    GRANTED,
    REFUSED,
    BrowserConsent,
    ConsentCount,
    ConsentMethod,
)
from preference_center.infra.context import db
from preference_center.infra.db.transactions import Connection
from preference_center.infra.models import TimestampTz

_INSERT = """
INSERT INTO browser_consent (id, site, choices, method, version, policy_version, language,
    decided_at, expires_at, previous)
VALUES (%(id)s, %(site)s, %(choices)s, %(method)s, %(version)s, %(policy_version)s, %(language)s,
    %(decided_at)s, %(expires_at)s,
    (SELECT id FROM browser_consent WHERE id = %(previous)s AND site = %(site)s))
ON CONFLICT (id) DO NOTHING
"""


_FIND = """
SELECT c.id, c.site, c.choices, c.method, c.version, c.language, c.decided_at, c.policy_version,
    c.previous, EXISTS (SELECT FROM browser_consent n WHERE n.previous = c.id)
FROM browser_consent c WHERE c.id = %s
"""


_COUNT = f"""
SELECT c.site, (c.decided_at AT TIME ZONE 'UTC')::date, choice.key, c.method,
    CASE WHEN choice.value::boolean THEN '{GRANTED}' ELSE '{REFUSED}' END, count(*)
FROM browser_consent c CROSS JOIN LATERAL jsonb_each(c.choices) AS choice
WHERE (%(site)s::text IS NULL OR c.site = %(site)s)
    AND (%(start)s::timestamptz IS NULL OR c.decided_at >= %(start)s)
    AND (%(end)s::timestamptz IS NULL OR c.decided_at < %(end)s)
GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class StoredConsent:
    """A recorded choice, and whether the same browser has chosen again."""

    consent: BrowserConsent
    is_superseded: bool


def insert_consent(connection: Connection, consent: BrowserConsent) -> None:
    """Record a choice. Safe to repeat. A `previous` that is not of the same site is left out.

    What is `unanswered` and not there is recorded as ended: should it come later, its id is taken.
    """
    refused = dict.fromkeys(consent.choices, False)
    previous = consent.previous
    for each in consent.unanswered:
        method = ConsentMethod.UNSAVED
        _insert(
            connection, replace(consent, id=each, choices=refused, method=method, previous=previous)
        )
        previous = each
    _insert(connection, replace(consent, previous=previous))


def _insert(connection: Connection, consent: BrowserConsent) -> None:
    given = {
        "id": consent.id,
        "site": consent.site,
        "choices": Jsonb({category.value: on for category, on in consent.choices.items()}),
        "method": consent.method,
        "version": consent.version,
        "policy_version": consent.policy_version,
        "language": consent.language,
        "decided_at": consent.decided_at,
        "expires_at": consent.expires_at,
        "previous": consent.previous,
    }
    connection.execute(_INSERT, given)


def find_consent(connection: Connection, consent_id: UUID) -> StoredConsent | None:
    """The recorded choice of this id, until it has been gone for its retention."""
    row = connection.execute(_FIND, (consent_id,)).fetchone()
    if row is None:
        return None
    found_id, site, choices, method, version, language, decided_at, policy, previous, ended = row
    consent = BrowserConsent(
        id=found_id,
        site=site,
        choices={CookieCategory(key): on for key, on in choices.items()},
        method=ConsentMethod(method),
        version=version,
        language=language,
        decided_at=decided_at,
        policy_version=policy,
        previous=previous,
    )
    return StoredConsent(consent, is_superseded=ended)


def count_cells(
    connection: Connection, site: str | None, start: datetime | None, end: datetime | None
) -> list[ConsentCount]:
    """How often each choice was made from `start` until before `end`; None sets no limit."""
    given = {"site": site, "start": start, "end": end}
    return [ConsentCount(*row) for row in connection.execute(_COUNT.encode(), given)]


class BrowserConsentRow(db.Model):  # type: ignore[misc,name-defined]
    """One choice. Rows are never updated: a newer one names the `previous` that it ends."""

    __tablename__ = "browser_consent"
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, unique=True)
    site: Mapped[str] = mapped_column(Text)
    choices: Mapped[dict[str, bool]] = mapped_column(JSONB)
    method: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    policy_version: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(TimestampTz)
    expires_at: Mapped[datetime] = mapped_column(TimestampTz)
    previous: Mapped[UUID | None] = mapped_column(Uuid)
    __table_args__ = (
        Index("browser_consent_previous", "previous"),
        Index("browser_consent_decided_at", "decided_at"),
    )
