"""What every measurement stands on: durable engines, a migrated database, the service."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import structlog
from flask import Flask

from dev.accounts import remove
from dev.engines import Engines, Foreign, for_test
from dev.postgres import Postgres, make_database
from preference_center.app.web import create_app
from preference_center.catalogue import catalogue_digest
from preference_center.catalogue import store as catalogues
from preference_center.catalogue.cli import read_catalogue
from preference_center.core.addresses import Channel
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import destinations
from preference_center.infra.config import Settings
from preference_center.infra.context import db, services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from tests.environment import drop_databases, migrate, settings_for, with_database

TOPIC = "bottega.similar_products"
MESSAGE_TYPE = "suggestion.similar_products"

ROOT = Path(__file__).resolve().parents[1]
CATALOGUE = ROOT / "dev" / "demo" / "catalogue.toml"
_PREFIX = "pc_bench"


@dataclass(frozen=True, slots=True)
class Ground:
    """A database with tables and a catalogue, and the service on it."""

    settings: Settings
    app: Flask

    @property
    def environ(self) -> dict[str, str]:
        """The settings as the environment of a process of the service."""
        values = self.settings.model_dump(exclude_none=True)
        return {name.upper(): str(value) for name, value in values.items()}

    def vacuum(self) -> None:
        """Leave no work for autovacuum to do while something is measured."""
        with psycopg.connect(self.settings.database_url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")


@contextmanager
def engines() -> Iterator[Engines]:
    """Engines of our own, durable as in production (fsync on), or those of the environment."""
    with for_test(durable=True) as ours:
        try:
            yield ours
        finally:
            forget(ours)


def forget(engines: Engines) -> None:
    """Delete what was stored."""
    if isinstance(engines.database, Foreign):
        drop_databases(engines.database.url, _PREFIX)
    else:
        engines.stop()
        remove(engines.folder / Postgres.name)


@contextmanager
def ground(engines: Engines) -> Iterator[Ground]:
    """A fresh database, with the demo's catalogue, on these engines."""
    name = f"{_PREFIX}_{secrets.token_hex(4)}"
    make_database(engines.database.url, name)
    settings = settings_for(with_database(engines.database.url, name), engines.redis.url)
    migrate(settings)
    app = create_app(settings)
    text = read_catalogue(CATALOGUE)
    with app.app_context():
        run_in_transaction(
            lambda c: catalogues.insert_version(c, text, catalogue_digest(text), datetime.now(UTC))
        )
        yield Ground(settings, app)
        db.engine.dispose()


def hush() -> None:
    """Log warnings only: the lines of one process about every batch are not to be measured."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        cache_logger_on_first_use=False,
    )
    logging.getLogger("workers").setLevel(logging.WARNING)


def add_destinations(count: int) -> list[int]:
    """Add active destinations that send the topic which is measured."""
    return [add_destination(f"tool-{n}", "webhook") for n in range(count)]


def add_destination(
    name: str, kind: str, settings: Mapping[str, str] | None = None, target: str | None = None
) -> int:
    """Add one, active, with the topic mapped to a `target` of the tool's."""

    def work(connection: Connection) -> int:
        destination = destinations.insert_destination(
            connection,
            services().keys,
            name=name,
            kind=kind,
            settings=settings or {},
            channels=frozenset({Channel.EMAIL}),
            mapping={TOPIC: target} if target else {},
            sends=frozenset({TOPIC}),
            sends_service=False,
            now=datetime.now(UTC),
        )
        destinations.set_status(connection, destination, DestinationStatus.ACTIVE)
        return destination

    return run_in_transaction(work)
