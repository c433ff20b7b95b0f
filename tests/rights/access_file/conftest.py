"""The catalogue is in force for every test of the file of a person's data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.in_force import put_in_force


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        put_in_force(app)
        yield
