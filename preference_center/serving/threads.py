"""The threads that requests are answered in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

_Task = tuple[asyncio.Future[None], Callable[[], bool]]

SETTLE = 0.05
"""Seconds after which, at the latest, the coroutine of an answered request ends."""


class RequestThreads:
    """`count` threads, started with the first request; daemons, as the server's own are.

    Unlike those of `concurrent.futures`, which keep a process from ending while one of them
    writes a stream. To wake the event loop costs two system calls and a change of threads, so
    a request that has been answered does not: its coroutine ends with others of its time.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._queue: SimpleQueue[_Task] = SimpleQueue()
        self._answered: deque[asyncio.Future[None]] = deque()
        self._running = 0
        self._started = self._settling = False

    async def run(self, work: Callable[[], bool]) -> None:
        """Do `work`; it returns whether its end may be noticed late. Raises what it raises.

        Called in the event loop's thread only.
        """
        if not self._started:
            self._started = True
            for number in range(self._count):
                Thread(target=self._work, name=f"request-{number + 1}", daemon=True).start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._running += 1
        self._settle_later(loop)
        try:
            self._queue.put((future, work))
            await future
        finally:
            self._running -= 1

    def _settle_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._running and not self._settling:
            self._settling = True
            loop.call_later(SETTLE, self._settle, loop)

    def _settle(self, loop: asyncio.AbstractEventLoop) -> None:
        self._settling = False
        while self._answered:
            _unless_cancelled(self._answered.popleft(), None)
        self._settle_later(loop)

    def _work(self) -> None:
        while True:
            future, work = self._queue.get()
            error = None
            try:
                late = work()
            except BaseException as raised:  # noqa: BLE001 - raised again where it is awaited
                late, error = False, raised
            if late:
                self._answered.append(future)
            else:
                future.get_loop().call_soon_threadsafe(_unless_cancelled, future, error)
            del future, work, error  # or they live until the next request


def _unless_cancelled(future: asyncio.Future[None], error: BaseException | None) -> None:
    if future.done():
        return
    if error:
        future.set_exception(error)
    else:
        future.set_result(None)
