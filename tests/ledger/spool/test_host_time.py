"""What a record says of the clocks of its host (I5)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from preference_center.core.clocks import HostTime
from preference_center.ledger.spool import host_time
from tests.clock import START


def test_a_host_time_is_read_as_it_was_stored_to_the_millisecond() -> None:
    stored = host_time.host_time_to_json(HostTime(START, "b", timedelta(seconds=1.5009)))
    assert stored == {"at": START.timestamp() * 1000, "id": "b", "ms": 1500}
    read = host_time.host_time_from_json(START + timedelta(hours=1), stored)
    assert read == HostTime(START, "b", timedelta(seconds=1.5))


def test_a_record_of_a_version_that_kept_less_is_read() -> None:
    assert host_time.host_time_from_json(START, None) == HostTime(START)
    read = host_time.host_time_from_json(START, {"id": "b", "ms": 1500})
    assert read == HostTime(START, "b", timedelta(seconds=1.5))


def test_a_system_without_a_boot_id_has_no_boot_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_time, "_BOOT_ID", tmp_path / "boot_id")
    host_time._load_boot_id.cache_clear()
    try:
        assert host_time.read_boot_clock() == ("", timedelta(0))
    finally:
        host_time._load_boot_id.cache_clear()
