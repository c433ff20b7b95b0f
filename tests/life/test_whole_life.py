"""A person's whole life, and after it no trace of them: not here, not in tools (I6).

In a real browser it is lived in tests/browser/test_whole_life.py.
"""

# ruff: noqa: F401, F811 - fixtures are imported by name

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.life.fixtures import company, places
from tests.life.living import whole_life
from tests.life.visitors import ClientVisitor

if TYPE_CHECKING:
    from flask import Flask

    from tests.life.company import Company
    from tests.life.traces import Places


@pytest.mark.owner
def test_after_a_whole_life_no_trace_is_left(
    app: Flask, company: Company, places: Places
) -> None:  # I6
    whole_life(ClientVisitor(app.test_client()), company, places)
