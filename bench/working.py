"""One worker process and two, as the Procfile starts them, and a tool that takes its time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from werkzeug.wrappers import Request, Response

from bench.ground import ROOT, Ground, add_destination
from bench.opted_out import opt_out
from dev.processes import wait_until
from preference_center.infra.company_webhooks import ALLOW_PRIVATE
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.integration import RATE_SETTING
from preference_center.integrations.hubspot.connector import HubSpot
from tests.integrations.tools.hubspot import TOKEN, HubSpotStandIn

CALL = 0.05
"""Seconds that the tool takes for a call."""
LONGEST = 300.0


class Slow(HubSpotStandIn):
    """HubSpot without a limit, 50 ms a call."""

    def handle(self, request: Request) -> Response:
        time.sleep(CALL)
        return super().handle(request)


def settle(ground: Ground, count: int, workers: int) -> float:
    """Addresses a second that so many worker processes settle, from first to last."""
    with ground.app.app_context(), Slow() as tool:
        settings = {"token": TOKEN, "base_url": tool.url, RATE_SETTING: "100000 per second"}
        add_destination("hubspot", HubSpot.kind, settings, "11")
        opt_out(count)
        ground.vacuum()
        with ExitStack() as stack:
            for module in ["workers.worker"] * workers + ["workers.scheduler"]:
                stack.enter_context(running(ground, module))
            if not wait_until(lambda: not run_in_transaction(_pends), LONGEST):
                raise RuntimeError(f"{run_in_transaction(_pushed)[0]} of {count} rows were settled")
        pushed, took = run_in_transaction(_pushed)
    return (pushed - HubSpot.capabilities.batch_size) / took.total_seconds()


def _pends(connection: Connection) -> bool:
    """Whether an opt-out has not been pushed."""
    row = connection.execute("SELECT FROM sync_state WHERE due_at IS NOT NULL LIMIT 1").fetchone()
    return row is not None


def _pushed(connection: Connection) -> tuple[int, timedelta]:
    """How many were pushed, and how long it took after the first of them."""
    row = connection.execute(
        """SELECT count(*), COALESCE(max(at) - min(at), '0') FROM delivery
        WHERE outcome = 'reflected'"""
    ).fetchone()
    assert row
    return row[0], row[1]


@contextmanager
def running(ground: Ground, module: str) -> Iterator[None]:
    """A process of the service: `python -m MODULE`, which may have arguments."""
    process = subprocess.Popen(
        [sys.executable, "-m", *module.split()],
        cwd=ROOT,
        env=os.environ | ground.environ | {ALLOW_PRIVATE: "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
