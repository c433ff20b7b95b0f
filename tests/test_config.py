"""Settings are loud."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from preference_center.config import Settings, load_settings
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


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "127.0.0.0/8", "intranet"])
def test_networks_outside_the_private_ranges_stop_the_start(networks: str) -> None:
    right = settings_for("postgresql://user@host/name", "redis://host/0").model_dump()
    assert Settings(**right | {"private_networks": "10.20.0.0/16"}).reachable_networks
    with pytest.raises(ValidationError, match="network"):
        Settings(**right | {"private_networks": networks})
