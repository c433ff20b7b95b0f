"""Can this process serve now? Asked so that a probe never waits longer than `PATIENCE`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import StrEnum

PATIENCE = 2.0
"""Seconds. Less than any probe's own time-out, so that it gets an answer with a reason."""


class Database(StrEnum):
    """What the database can do for this process now."""

    WRITABLE = "writable"
    READ_ONLY = "read_only"
    """A standby, or a primary that was set to read only: nothing can be recorded there."""
    UNREACHABLE = "unreachable"
    SILENT = "silent"
    """No answer within PATIENCE: frozen, overloaded, or every connection in use."""


class Readiness:
    """Asks the database in a thread, one question at a time. Safe for use by several threads.

    A frozen database holds that one thread, and no thread that answers requests: those who
    probe meanwhile wait for the same answer, and for PATIENCE at most.
    """

    def __init__(self, ask: Callable[[], Database]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answer: Future[Database] | None = None

    def __call__(self) -> Database:
        """What `ask` returns, or SILENT. Raises what `ask` raises."""
        with self._lock:
            if self._answer is None or self._answer.done():
                self._answer = Future()
                threading.Thread(target=self._run, args=(self._answer,), daemon=True).start()
            answer = self._answer
        try:
            return answer.result(PATIENCE)
        except TimeoutError:
            return Database.SILENT

    def _run(self, answer: Future[Database]) -> None:
        try:
            answer.set_result(self._ask())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            answer.set_exception(error)
