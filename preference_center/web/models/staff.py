"""Staff that signs in to the console: local accounts, and everybody's sessions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Integer, LargeBinary, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.models import TimestampTz


class StaffAccountRow(db.Model):  # type: ignore[misc,name-defined]
    """An account of our own, for companies without a provider; `totp_secret` is sealed.

    Until its person has set a password, `enrolment_digest` is of the token of the link for that.
    """

    __tablename__ = "staff_account"
    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    password_hash: Mapped[str | None] = mapped_column(Text)
    totp_secret: Mapped[bytes] = mapped_column(LargeBinary)
    totp_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    locked_until: Mapped[datetime | None] = mapped_column(TimestampTz)
    enrolment_digest: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    enrolment_expires_at: Mapped[datetime | None] = mapped_column(TimestampTz)
    created_at: Mapped[datetime] = mapped_column(TimestampTz)
    disabled_at: Mapped[datetime | None] = mapped_column(TimestampTz)


class StaffRecoveryCodeRow(db.Model):  # type: ignore[misc,name-defined]
    """A code that replaces one from the authenticator once, hashed; deleted when used."""

    __tablename__ = "staff_recovery_code"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("staff_account.id", ondelete="CASCADE"), index=True
    )


class StaffSessionRow(db.Model):  # type: ignore[misc,name-defined]
    """A session of the console, found by the digest of the token in its cookie.

    `account_id` is None of somebody who signed in at a provider: then `issuer` and `subject` say
    who it is there, and `tokens` are the provider's, sealed.
    """

    __tablename__ = "staff_session"
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    name: Mapped[str] = mapped_column(Text)
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    account_id: Mapped[int | None] = mapped_column(
        ForeignKey("staff_account.id", ondelete="CASCADE"), index=True
    )
    issuer: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    tokens: Mapped[bytes | None] = mapped_column(LargeBinary)
    checked_at: Mapped[datetime] = mapped_column(TimestampTz)
    started_at: Mapped[datetime] = mapped_column(TimestampTz)
    last_seen_at: Mapped[datetime] = mapped_column(TimestampTz)
    expires_at: Mapped[datetime] = mapped_column(TimestampTz, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(TimestampTz)


class EmailStopRow(db.Model):  # type: ignore[misc,name-defined]
    """A mailbox that wants no emails which anybody can cause; see `web.email_stops`.

    `digest` is that of the mailbox. Deleted once it has ended.
    """

    __tablename__ = "email_stop"
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    ends_at: Mapped[datetime] = mapped_column(TimestampTz)
