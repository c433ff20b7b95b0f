"""These classes describe the tables of staff, API keys, links and tokens, and of email stops.

Staff that signs in to the console may have local accounts, and everybody has sessions.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db


class StaffAccountRow(db.Model):  # type: ignore[misc,name-defined]
    """An account of our own, for companies without a provider; `totp_secret` is sealed.

    Until its person has set a password, `enrolment_digest` is of the token of the link for that.
    """

    __tablename__ = "staff_account"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    roles: Mapped[list[str]]
    password_hash: Mapped[str | None]
    totp_secret: Mapped[bytes]
    totp_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    failures: Mapped[int] = mapped_column(server_default="0")
    locked_until: Mapped[datetime | None]
    enrolment_digest: Mapped[bytes | None] = mapped_column(unique=True)
    enrolment_expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class StaffRecoveryCodeRow(db.Model):  # type: ignore[misc,name-defined]
    """A code that replaces one from the authenticator once, hashed; deleted when used."""

    __tablename__ = "staff_recovery_code"
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("staff_account.id", ondelete="CASCADE"), index=True
    )


class StaffSessionRow(db.Model):  # type: ignore[misc,name-defined]
    """A session of the console, found by the digest of the token in its cookie.

    `account_id` is None of somebody who signed in at a provider: then `issuer` and `subject` say
    who it is there, and `tokens` are the provider's, sealed.
    """

    __tablename__ = "staff_session"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    name: Mapped[str]
    roles: Mapped[list[str]]
    account_id: Mapped[int | None] = mapped_column(
        ForeignKey("staff_account.id", ondelete="CASCADE"), index=True
    )
    issuer: Mapped[str | None]
    subject: Mapped[str | None]
    tokens: Mapped[bytes | None]
    checked_at: Mapped[datetime]
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None]


class EmailStopRow(db.Model):  # type: ignore[misc,name-defined]
    """A mailbox that wants no emails which anybody can cause; see `web.emails`.

    `digest` is that of the mailbox. Deleted once it has ended.
    """

    __tablename__ = "email_stop"
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    ends_at: Mapped[datetime]


class ApiKeyRow(db.Model):  # type: ignore[misc,name-defined]
    """A sender's key, hashed."""

    __tablename__ = "api_key"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    message_types: Mapped[list[str]]
    rate: Mapped[str | None]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class KeyUsageRow(db.Model):  # type: ignore[misc,name-defined]
    """What was done with a sender's key on one day (UTC): counts, and nothing about whom."""

    __tablename__ = "key_usage"
    name: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    decisions: Mapped[int] = mapped_column(BigInteger)
    denied: Mapped[int] = mapped_column(BigInteger)
    refused: Mapped[int] = mapped_column(BigInteger)
    limited: Mapped[int] = mapped_column(BigInteger)
    rows_read: Mapped[int] = mapped_column(BigInteger, server_default="0")


class ConsumedOneTimeTokenRow(db.Model):  # type: ignore[misc,name-defined]
    """A one-time token that was used; deleted once it has expired."""

    __tablename__ = "consumed_one_time_token"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    consumed_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class ShortLinkRow(db.Model):  # type: ignore[misc,name-defined]
    """What a short link stands for, encrypted by its code; see `web.pages.mailed_links`."""

    __tablename__ = "short_link"
    lookup: Mapped[bytes] = mapped_column(primary_key=True)
    content: Mapped[bytes]
    created_at: Mapped[datetime]


class IdempotentResponseRow(db.Model):  # type: ignore[misc,name-defined]
    """The sealed response to a write with an Idempotency-Key, for its repeats."""

    __tablename__ = "idempotent_response"
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    ciphertext: Mapped[bytes]
    stored_at: Mapped[datetime] = mapped_column(index=True)


class PersonAccessRow(db.Model):  # type: ignore[misc,name-defined]
    """Whose data somebody of the staff looked at, and why; kept as long as its audit entry.

    `digest` is the exact one of the address. An erasure clears `ciphertext` and `reference`.
    """

    __tablename__ = "person_access"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    audit_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    reason: Mapped[str]
    reference: Mapped[str]
    channel: Mapped[str]
    digest: Mapped[bytes]
    ciphertext: Mapped[bytes | None]
    __table_args__ = (Index("person_access_digest", "digest"),)
