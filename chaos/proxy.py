"""The network between the service and its database: `python -m chaos.proxy LISTEN:UPSTREAM ...`.

Passes bytes on from each port to the other, on the loopback. A line on standard input sets how
it behaves from now on, and is answered with `ok`; what the process itself missed, because the
machine did not let it run, is a line `stall BEGIN END` in seconds of the monotonic clock.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from queue import Empty, Queue
from typing import IO

from chaos.heartbeat import BEAT, Heart, Stall

ANSWERED = 10.0
"""Seconds within which a command must be carried out."""
CHUNK = 65536
"""Bytes read at a time."""


class Mood(StrEnum):
    """How the network behaves."""

    PASS = "pass"  # noqa: S105 - no password
    """Everything goes through, also what was held until now."""
    SILENCE_OLD = "silence-old"
    """Connections that exist carry nothing and stay open; new ones work."""
    SILENCE_ALL = "silence-all"
    """Nor do new ones: they are accepted, and nothing follows."""
    DROP = "drop"
    """All connections are reset, and so is every new one."""


@dataclass(eq=False, slots=True)
class _Link:
    """One connection through the proxy."""

    writers: list[asyncio.StreamWriter]
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while it carries bytes."""

    def abort(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class _Network:
    def __init__(self) -> None:
        self._links: set[_Link] = set()
        self._mood = Mood.PASS

    def behave(self, mood: Mood) -> None:
        self._mood = mood
        for link in list(self._links):
            match mood:
                case Mood.PASS:
                    link.flows.set()
                case Mood.SILENCE_OLD | Mood.SILENCE_ALL:
                    link.flows.clear()
                case Mood.DROP:
                    link.abort()
                    link.flows.set()  # anyone who waits finds it closed

    async def listen(self, port: int, upstream: int) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = _Link([writer])
            self._links.add(link)
            try:
                await self._connect(link, reader, upstream)
            except OSError:
                pass  # either side went away
            finally:
                link.abort()
                self._links.discard(link)

        await asyncio.start_server(serve, "127.0.0.1", port)

    async def _connect(self, link: _Link, reader: asyncio.StreamReader, upstream: int) -> None:
        if self._mood is Mood.DROP:
            return
        if self._mood is not Mood.SILENCE_ALL:
            link.flows.set()
        await link.flows.wait()
        back, forth = await asyncio.open_connection("127.0.0.1", upstream)
        link.writers.append(forth)
        both = (_pump(link, reader, forth), _pump(link, back, link.writers[0]))
        tasks = [asyncio.ensure_future(pump) for pump in both]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        for task in done:
            task.result()


async def _pump(link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until the end, which is held like them; what was written has left then."""
    while True:
        data = await reader.read(CHUNK)
        await link.flows.wait()
        if not data:
            writer.close()
            await writer.wait_closed()
            return
        writer.write(data)
        await writer.drain()


async def _beat() -> None:
    heart = Heart()
    while True:
        await asyncio.sleep(BEAT)
        if stall := heart.beat():
            print("stall", stall.begin, stall.end, flush=True)


async def _obey(network: _Network) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        network.behave(Mood(line.decode().strip()))
        print("ok", flush=True)


async def _main(routes: Sequence[str]) -> None:
    network = _Network()
    for route in routes:
        port, upstream = map(int, route.split(":"))
        await network.listen(port, upstream)
    beating = asyncio.ensure_future(_beat())
    print("ok", flush=True)
    await _obey(network)  # ends with anyone who commands it
    beating.cancel()


@dataclass(slots=True)
class Proxy:
    """The process, commanded from here. Ends with this process, however that ends."""

    routes: Sequence[tuple[int, int]]
    """Ports to listen on, and those behind them."""
    stalls: list[Stall] = field(default_factory=list)
    """When the machine did not let it run."""
    _popen: subprocess.Popen[str] | None = None
    _done: Queue[None] = field(default_factory=Queue)

    def start(self) -> None:
        """Start it; returns once it listens. Raises RuntimeError if it does not."""
        command = [sys.executable, "-m", "chaos.proxy"]
        command += [f"{port}:{upstream}" for port, upstream in self.routes]
        self._popen = subprocess.Popen(  # noqa: S603 - ours
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._popen.stdout
        threading.Thread(target=self._read, args=(self._popen.stdout,), daemon=True).start()
        self._await()

    def stop(self) -> None:
        """End it; nothing if it does not run."""
        if self._popen is not None:
            self._popen.kill()
            with suppress(BrokenPipeError):
                self._popen.communicate()
            self._popen = None

    def behave(self, mood: Mood) -> None:
        """Have the network behave like this. Raises RuntimeError if it does not obey."""
        assert self._popen
        assert self._popen.stdin
        print(mood.value, file=self._popen.stdin, flush=True)
        self._await()

    def _await(self) -> None:
        try:
            self._done.get(timeout=ANSWERED)
        except Empty:
            raise RuntimeError("the proxy before the database does not answer") from None

    def _read(self, output: IO[str]) -> None:
        with suppress(ValueError):  # closed by `stop`
            for line in output:
                word, *rest = line.split()
                if word == "ok":
                    self._done.put(None)
                else:
                    self.stalls.append(Stall(*map(float, rest)))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))  # noqa: TID251 - not in a test
