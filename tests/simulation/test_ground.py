"""The simulated service logs nothing: what fails is in the trace and the result of its seed."""

from __future__ import annotations

import pytest
import structlog

from dev.engines import Engines
from simulation.ground import ground, prepare, rotating_ground


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
