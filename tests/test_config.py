"""Settings are loud."""

from __future__ import annotations

import pytest

from preference_center.config import load_settings
from preference_center.errors import ConfigError
from tests.environment import settings_for


def test_an_unknown_time_zone_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    right = settings_for("postgresql://user@host/name", "redis://host/0")
    for name in ("database_url", "redis_url", "public_url", "secret_key"):
        monkeypatch.setenv(name.upper(), getattr(right, name))
    for name in ("digest_keys", "encryption_keys", "link_keys"):
        monkeypatch.setenv(name.upper(), getattr(right, name))
    assert load_settings().time_zone == "Europe/Rome"
    monkeypatch.setenv("TIME_ZONE", "Rome")
    with pytest.raises(ConfigError, match=r"TIME_ZONE: .*no time zone"):
        load_settings()
