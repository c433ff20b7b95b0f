"""Who runs commands."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _staff_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFF_NAME", "grace")
