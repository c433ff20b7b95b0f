"""A service with a catalogue, for the pages of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.in_force import CATALOGUE, put_in_force
from tests.rights.emails.test_texts import CONTROLLER

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def app(app: Flask) -> Flask:
    put_in_force(app, CATALOGUE + CONTROLLER)
    return app
