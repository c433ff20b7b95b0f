"""Readiness checks, none of which waits longer than PROBE_TIMEOUT_SECONDS."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
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
    OTHER_SCHEMA = "other_schema"
    """Its tables are not those that this version needs: an upgrade is not finished."""
    EXHAUSTED = "exhausted"
    """No connection, memory or disk is left."""
    FAILING = "failing"
    """It reports an error of its own."""


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """The state of the database, and what the operator should know of it."""

    status: DatabaseStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ListeningPort:
    """The port on which this process serves requests, together with others of its server."""

    host: str
    port: int

    def accepts_connections(self) -> bool:
        """Whether it can be connected to now: not before the server has started, nor at its end."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - any
        try:
            socket.create_connection((host, self.port), PROBE_TIMEOUT_SECONDS / 2).close()
        except OSError:
            return False
        return True


class ReadinessProbe:
    """Runs `check` in a thread of its own, one at a time. Safe for use by several threads.

    A frozen database blocks that one thread, and no request thread: concurrent callers wait
    for the same result, and for PROBE_TIMEOUT_SECONDS at most.
    """

    def __init__(self, check: Callable[[], DatabaseState]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._pending_state: Future[DatabaseState] | None = None

    def __call__(self) -> DatabaseState:
        """What `check` returns, or UNRESPONSIVE. Raises what `check` raises."""
        with self._lock:
            if self._pending_state is None or self._pending_state.done():
                self._pending_state = Future()
                threading.Thread(target=self._run, args=(self._pending_state,), daemon=True).start()
            pending = self._pending_state
        try:
            return pending.result(PROBE_TIMEOUT_SECONDS)
        except TimeoutError:
            return DatabaseState(DatabaseStatus.UNRESPONSIVE)

    def _run(self, pending_state: Future[DatabaseState]) -> None:
        try:
            pending_state.set_result(self._check())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            pending_state.set_exception(error)
