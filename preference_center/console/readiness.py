"""Can this process serve now? Asked so that a probe never waits longer than `PATIENCE`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import StrEnum

PROBE_TIMEOUT_SECONDS = 2.0
"""Seconds. Less than any probe's own time-out, so that it gets an answer with a reason."""


class DatabaseStatus(StrEnum):
    """What the database can do for this process now."""

    WRITABLE = "writable"
    READ_ONLY = "read_only"
    """A standby, or a primary that was set to read only: nothing can be recorded there."""
    UNREACHABLE = "unreachable"
    UNRESPONSIVE = "silent"
    """No answer within PATIENCE: frozen, overloaded, or every connection in use."""


class ReadinessProbe:
    """Asks the database in a thread, one question at a time. Safe for use by several threads.

    A frozen database holds that one thread, and no thread that answers requests: those who
    probe meanwhile wait for the same answer, and for PATIENCE at most.
    """

    def __init__(self, check: Callable[[], DatabaseStatus]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._pending_status: Future[DatabaseStatus] | None = None

    def __call__(self) -> DatabaseStatus:
        """What `ask` returns, or SILENT. Raises what `ask` raises."""
        with self._lock:
            if self._pending_status is None or self._pending_status.done():
                self._pending_status = Future()
                threading.Thread(
                    target=self._run, args=(self._pending_status,), daemon=True
                ).start()
            answer = self._pending_status
        try:
            return answer.result(PROBE_TIMEOUT_SECONDS)
        except TimeoutError:
            return DatabaseStatus.UNRESPONSIVE

    def _run(self, pending_status: Future[DatabaseStatus]) -> None:
        try:
            pending_status.set_result(self._check())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            pending_status.set_exception(error)
