from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.in_force import put_in_force
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask


@pytest.fixture
def in_force(app: Flask) -> Flask:
    """The service with a catalogue."""
    put_in_force(app)
    return app


@pytest.fixture
def sender(in_force: Flask) -> Sender:
    """A sender that may do everything."""
    return make_sender(in_force)
