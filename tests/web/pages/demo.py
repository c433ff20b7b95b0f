"""The demo's catalogue in force: two brands with looks, five languages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock

DEMO = Path(__file__).resolve().parents[3] / "dev" / "demo" / "catalogue.toml"


def put_in_force(app: Flask, clock: Clock, text: str | None = None) -> None:
    """Apply the demo's catalogue, or `text`."""
    from preference_center.catalogue import catalogue_digest
    from preference_center.catalogue.cli import read_catalogue
    from preference_center.catalogue.store import clear_catalogue_cache, insert_version
    from preference_center.infra.db.transactions import transaction

    text = text or read_catalogue(DEMO)
    with app.app_context(), transaction() as connection:
        insert_version(connection, text, catalogue_digest(text), clock())
        clear_catalogue_cache()
