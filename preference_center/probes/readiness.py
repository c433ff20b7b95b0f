"""A readiness check that never waits longer than PROBE_TIMEOUT_SECONDS."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import StrEnum

PROBE_TIMEOUT_SECONDS = 2.0
"""Less than the timeout of common probes, so that they get a response with a reason."""


class DatabaseStatus(StrEnum):
    """The state of the database, as this process sees it."""

    WRITABLE = "writable"
    READ_ONLY = "read_only"
    """A standby, or a primary set to read only: nothing can be recorded there."""
    UNREACHABLE = "unreachable"
    UNRESPONSIVE = "unresponsive"
    """No response within PROBE_TIMEOUT_SECONDS: frozen, overloaded, or no free connection."""
    REFUSED = "refused"
    """It refuses the log-in, a right, or a function."""
    EXHAUSTED = "exhausted"
    """No connection, memory or disk is left."""
    FAILING = "failing"
    """It reports an error of its own."""


class ReadinessProbe:
    """Runs `check` in a thread of its own, one at a time. Safe for use by several threads.

    A frozen database blocks that one thread, and no request thread: concurrent callers wait
    for the same result, and for PROBE_TIMEOUT_SECONDS at most.
    """

    def __init__(self, check: Callable[[], DatabaseStatus]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._pending_status: Future[DatabaseStatus] | None = None

    def __call__(self) -> DatabaseStatus:
        """What `check` returns, or UNRESPONSIVE. Raises what `check` raises."""
        with self._lock:
            if self._pending_status is None or self._pending_status.done():
                self._pending_status = Future()
                threading.Thread(
                    target=self._run, args=(self._pending_status,), daemon=True
                ).start()
            pending = self._pending_status
        try:
            return pending.result(PROBE_TIMEOUT_SECONDS)
        except TimeoutError:
            return DatabaseStatus.UNRESPONSIVE

    def _run(self, pending_status: Future[DatabaseStatus]) -> None:
        try:
            pending_status.set_result(self._check())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            pending_status.set_exception(error)
