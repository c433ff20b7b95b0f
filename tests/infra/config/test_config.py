"""Settings are loud."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from preference_center.core.errors import ConfigError
from preference_center.infra.config import Settings, load_settings
from tests.environment import settings_for

NAMES = [name for name, field in Settings.model_fields.items() if field.is_required()]


@pytest.fixture
def right(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that are in the environment, too: all that must be set, and nothing more."""
    right = settings_for("postgresql://user@host/name", "redis://host/0")
    for name in NAMES:
        monkeypatch.setenv(name.upper(), getattr(right, name))
    return right


def test_an_unknown_time_zone_stops_the_start(
    right: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().time_zone == "Europe/Rome"
    monkeypatch.setenv("TIME_ZONE", "Rome")
    with pytest.raises(ConfigError, match=r"TIME_ZONE: .*no time zone"):
        load_settings()


@pytest.mark.parametrize("region", ["it", "Italy", "XX"])
def test_an_unknown_region_of_phone_numbers_stops_the_start(
    right: Settings, monkeypatch: pytest.MonkeyPatch, region: str
) -> None:
    monkeypatch.setenv("PHONE_REGION", region)
    with pytest.raises(ConfigError, match=r"PHONE_REGION: .*two capital letters"):
        load_settings()


@pytest.mark.parametrize(
    "secrets",
    [
        "hunter2",
        "shop:",
        "shop:hunter2",
        f":{'s' * 32}",
        f"shop:{'s' * 32} blog:hunter2",
        f"shop: {'s' * 32}",
        f"shop={'s' * 32}",
    ],
)
def test_secrets_of_sites_that_protect_nothing_stop_the_start(
    right: Settings, monkeypatch: pytest.MonkeyPatch, secrets: str
) -> None:
    monkeypatch.setenv("CONSENT_SECRETS", f"shop:{'s' * 32} shop:{'t' * 32}")
    assert len(load_settings().secrets_of_site("shop")) == 2
    monkeypatch.setenv("CONSENT_SECRETS", secrets)
    with pytest.raises(ConfigError, match=r"CONSENT_SECRETS: .*site:secret, each .* 32") as raised:
        load_settings()
    assert "hunter2" not in str(raised.value)


def test_a_variable_that_is_set_to_nothing_counts_as_not_set(
    right: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a ConfigMap or a file for `docker run` that lists every setting."""
    monkeypatch.setenv("FEED_KAFKA_TOPIC", "")
    monkeypatch.setenv("INTERNAL_PORT", "")
    assert load_settings().feed_kafka_topic is None
    monkeypatch.setenv("PHONE_REGION", "")
    with pytest.raises(ConfigError, match="PHONE_REGION: Field required"):
        load_settings()


@pytest.mark.parametrize("name", NAMES)
def test_what_must_be_set_is_named_with_what_it_is(
    right: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name.upper())
    with pytest.raises(ConfigError, match=rf"^Settings .*\n{name.upper()}: .+ \(.+\)$"):
        load_settings()


def test_a_setting_may_come_from_a_file(
    right: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("digest_keys", "database_url", "internal_port"):
        value = getattr(right, name) or 8001
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv(f"{name.upper()}_FILE", str(tmp_path / name))
    loaded = load_settings()
    assert (loaded.digest_keys, loaded.database_url) == (right.digest_keys, right.database_url)
    assert loaded.internal_port == 8001


def test_a_wrong_file_and_a_wrong_setting_are_told_together_without_their_values(
    right: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("short")
    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "secret"))
    monkeypatch.delenv("LINK_KEYS")
    monkeypatch.setenv("LINK_KEYS_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("DIGEST_KEYS_FILE", str(tmp_path / "secret"))
    with pytest.raises(ConfigError) as raised:
        load_settings()
    lines = str(raised.value).splitlines()[1:]
    assert [line.partition(":")[0] for line in lines] == [
        "DIGEST_KEYS and DIGEST_KEYS_FILE are both set",
        "LINK_KEYS_FILE",
        "SECRET_KEY",
    ]
    assert "No such file" in lines[1]
    assert "short" not in lines[2].replace("shorter", "")


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "127.0.0.0/8", "intranet"])
def test_networks_outside_the_private_ranges_stop_the_start(networks: str) -> None:
    right = settings_for("postgresql://user@host/name", "redis://host/0").model_dump()
    assert Settings(**right | {"private_networks": "10.20.0.0/16"}).reachable_networks
    with pytest.raises(ValidationError, match="network"):
        Settings(**right | {"private_networks": networks})
