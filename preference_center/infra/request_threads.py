"""The thread pool of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

_Task = tuple[asyncio.Future[Any], Callable[[], Any]]


class RequestThreadPool:
    """At most `count` daemon threads, started when needed.

    The threads of `concurrent.futures` are no daemons: they keep a process from exiting
    while one of them writes a stream.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._queue: SimpleQueue[_Task] = SimpleQueue()
        self._started = self._busy = 0

    async def run(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises. Call it in the event loop's thread only."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._busy >= self._started < self._count:
            self._started += 1
            Thread(target=self._run_tasks, name=f"request-{self._started}", daemon=True).start()
        self._busy += 1
        try:
            self._queue.put((future, call))
            return await future
        finally:
            self._busy -= 1

    def _run_tasks(self) -> None:
        while True:
            future, call = self._queue.get()
            try:
                done, value = future.set_result, call()
            except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
                done, value = future.set_exception, error
            future.get_loop().call_soon_threadsafe(_set_unless_done, future, done, value)
            del future, call, done, value  # release them before the next request


def _set_unless_done(
    future: asyncio.Future[Any], set_outcome: Callable[[Any], None], value: Any
) -> None:
    if not future.done():
        set_outcome(value)
