"""Processes on one database that have different keys."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.config import Settings


@contextmanager
def process_with(settings: Settings, **changed: str) -> Iterator[Flask]:
    """Another process on the same database, with other settings; its context is entered."""
    from preference_center.app import create_app
    from preference_center.extensions import db
    from preference_center.storage.db.database import run_in_transaction

    app = create_app(settings.model_copy(update=changed))
    with app.app_context():
        run_in_transaction(lambda _: None)  # every process begins by asking for the keys in use
        yield app
        db.engine.dispose()


def new_key(key_id: str, number: int = 9) -> str:
    """An entry of a ring."""
    return f"{key_id}:{base64.urlsafe_b64encode(bytes([number]) * 32).decode()}"
