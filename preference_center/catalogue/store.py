"""The store keeps the versions of the catalogue, and caches the current one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from flask import current_app
from sqlalchemy import Identity, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.catalogue.rules.model import Catalogue
from preference_center.catalogue.rules.parser import parse_catalogue
from preference_center.core.errors import CatalogueError
from preference_center.infra.context import db
from preference_center.infra.db.transactions import Connection, run_autocommit
from preference_center.infra.models import TimestampTz

_CACHE = "preference_center.catalogue"
_APPLY_LOCK_ID = 0x636174616C6F6775
"""Advisory lock for applying a catalogue."""
_CACHE_SECONDS = 2.0
"""Seconds until a process notices that another one applied a new version."""

EMPTY_CATALOGUE = Catalogue(languages=(), default_language="")
"""The one in force before any was applied."""

parse_stored = lru_cache(maxsize=8)(parse_catalogue)
"""The catalogue in the text of a version: the one in force is read again every few seconds, and two
are compared in the console. Raises CatalogueError if today's rules refuse it."""


def load_current_text(connection: Connection) -> str | None:
    """The source text applied last, or None before the first."""
    row = connection.execute(
        "SELECT text FROM catalogue_version ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return row[0] if row else None


def load_last_applied_at(connection: Connection) -> datetime | None:
    """When the version in force was applied, or None before the first."""
    row = connection.execute(
        "SELECT applied_at FROM catalogue_version ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return row[0] if row else None


def list_texts(connection: Connection) -> list[str]:
    """The source of every version that was ever applied, the newest first."""
    rows = connection.execute("SELECT text FROM catalogue_version ORDER BY id DESC")
    return [row[0] for row in rows]


@dataclass(frozen=True, slots=True)
class CatalogueVersion:
    """A catalogue that was applied; `applied_by` is empty of versions from before it was kept."""

    number: int
    digest: str
    applied_at: datetime
    applied_by: str


def list_versions(
    connection: Connection, limit: int, before: int | None = None
) -> list[CatalogueVersion]:
    """The newest versions, or the newest of those before the number `before`."""
    rows = connection.execute(
        """SELECT id, digest, applied_at, applied_by FROM catalogue_version
        WHERE %(before)s::int IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(limit)s""",
        {"before": before, "limit": limit},
    )
    return [CatalogueVersion(*row) for row in rows]


def load_version_text(connection: Connection, number: int) -> str | None:
    """The source text of one version, or None."""
    row = connection.execute(
        "SELECT text FROM catalogue_version WHERE id = %s", (number,)
    ).fetchone()
    return row[0] if row else None


def insert_version(
    connection: Connection, text: str, digest: str, now: datetime, actor: str = ""
) -> int:
    """Append a version; returns its number."""
    row = connection.execute(
        """INSERT INTO catalogue_version (text, digest, applied_at, applied_by)
        VALUES (%s, %s, %s, %s) RETURNING id""",
        (text, digest, now, actor),
    ).fetchone()
    assert row
    return int(row[0])


def lock_for_apply(connection: Connection) -> None:
    """Let only this transaction apply a catalogue until it ends; waits for others that do.

    Otherwise two could both be compared with the version before them, and the deletion of a topic
    go unnoticed. To be called before reading the version in force.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_APPLY_LOCK_ID,))


def current_catalogue() -> Catalogue:
    """The catalogue in force, cached for two seconds.

    Raises CatalogueError before any was applied.
    """
    cached: tuple[float, str, Catalogue] | None = current_app.extensions.get(_CACHE)
    if cached and time.monotonic() < cached[0]:
        return cached[2]
    text = run_autocommit(load_current_text)
    if text is None:
        raise CatalogueError(["No catalogue yet: run `flask catalogue apply FILE`."])
    catalogue = parse_stored(text)
    current_app.extensions[_CACHE] = (time.monotonic() + _CACHE_SECONDS, text, catalogue)
    return catalogue


def current_catalogue_or_empty() -> Catalogue:
    """The catalogue in force: EMPTY_CATALOGUE before any was applied."""
    try:
        return current_catalogue()
    except CatalogueError:
        return EMPTY_CATALOGUE


def cached_catalogue() -> Catalogue | None:
    """The one that this process loaded last, however old: for pages, never for decisions."""
    cached: tuple[float, str, Catalogue] | None = current_app.extensions.get(_CACHE)
    return cached[2] if cached else None


def cached_text() -> str | None:
    """The source text of `cached_catalogue`."""
    cached: tuple[float, str, Catalogue] | None = current_app.extensions.get(_CACHE)
    return cached[1] if cached else None


def seed_catalogue_cache(text: str) -> None:
    """Put this catalogue into the cache, unless it has one. Raises CatalogueError."""
    entry = (time.monotonic(), text, parse_stored(text))
    current_app.extensions.setdefault(_CACHE, entry)


def clear_catalogue_cache() -> None:
    """Clear this process's cache of the catalogue."""
    current_app.extensions.pop(_CACHE, None)


class CatalogueVersionRow(db.Model):  # type: ignore[misc,name-defined]
    """Every catalogue that was applied."""

    __tablename__ = "catalogue_version"
    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    applied_at: Mapped[datetime] = mapped_column(TimestampTz)
    applied_by: Mapped[str] = mapped_column(Text, server_default="")
