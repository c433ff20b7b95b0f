from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from preference_center.infra.context import db, services
from preference_center.infra.keys.fingerprints import require_known_keys

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.infra.config import Settings


@pytest.fixture
def one_key(app: Flask) -> Iterator[Settings]:
    """The settings of a database that is in use with one digest key."""
    with app.app_context():
        require_known_keys()
        settings = services().settings
    yield settings
    with app.app_context():
        db.engine.dispose()
