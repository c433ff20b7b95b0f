"""What runs stand on: the service logs nothing, and neither real time nor other runs matter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from dev.engines import Engines
from preference_center.infra.context import services
from preference_center.infra.db.connections import LINK_CLICK_TIMEOUTS
from preference_center.infra.db.transactions import current_limits, override_limits, run_autocommit
from preference_center.ledger.spool.replayer import PROBE_LIMITS
from simulation.crew import Redis
from simulation.ground import PATIENT, ground, prepare, rotating_ground


def test_a_run_that_changes_the_digest_keys_leaves_the_logs_of_later_runs_silent(
    engines: Engines, capfd: pytest.CaptureFixture[str]
) -> None:
    prepare(engines)
    with ground(engines):
        with rotating_ground(engines):
            structlog.get_logger().error("during")
        structlog.get_logger().error("after")
    assert "during" not in (written := "".join(capfd.readouterr()))
    assert "after" not in written


def test_a_click_a_probe_and_a_new_connection_have_as_long_as_a_busy_machine_needs(
    engines: Engines,
) -> None:
    prepare(engines)
    with ground(engines):
        with override_limits(LINK_CLICK_TIMEOUTS):
            assert current_limits() == replace(PATIENT, lock=LINK_CLICK_TIMEOUTS.lock)
        with override_limits(PROBE_LIMITS):
            assert current_limits() == replace(PATIENT, lock=PROBE_LIMITS.lock, retry=0)
        assert current_limits() == PATIENT
        connection = run_autocommit(lambda c: c.info.get_parameters())
        assert connection["connect_timeout"] == str(PATIENT.round_trip)
    with override_limits(PROBE_LIMITS):
        assert current_limits() is PROBE_LIMITS


def test_what_an_earlier_run_did_counts_for_no_limit(engines: Engines, tmp_path: Path) -> None:
    prepare(engines)
    with ground(engines) as found:
        for seed in ("1", "2"):
            (journal := tmp_path / seed).mkdir()
            found.empty(seed, Redis, str(journal))
            assert services().limiter.hit("1 per hour", "text-to", "somebody")
