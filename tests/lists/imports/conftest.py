from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.in_force import put_in_force

if TYPE_CHECKING:
    from flask import Flask

EXPORTS = Path(__file__).with_name("exports")


@pytest.fixture
def exports() -> Path:
    return EXPORTS


@pytest.fixture
def in_force(app: Flask) -> Iterator[Flask]:
    """The service with a catalogue, in its context."""
    put_in_force(app)
    with app.app_context():
        yield app
