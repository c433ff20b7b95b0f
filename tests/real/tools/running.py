"""A real tool, started for a session of tests and looked into by its own API."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import httpx

from dev.maintenance.real_tools import HOME
from dev.processes import wait_until

NEWS, OFFERS = "acme.news", "acme.offers"


class RealTool(Protocol):
    """One kind of tool, with a target for each of `mapping`'s topics; none of it is ours."""

    @property
    def kind(self) -> str: ...

    @property
    def settings(self) -> Mapping[str, str]: ...

    @property
    def mapping(self) -> Mapping[str, str]: ...

    def add(self, *addresses: str) -> None:
        """Have people in it who get all topics, as an import would."""
        ...

    def turn_off(self, address: str, topic: str) -> None:
        """What the tool does when a person opts out there."""
        ...

    def off(self, address: str) -> set[str] | None:
        """Our topics that it doesn't send them; None if it doesn't know them."""
        ...

    def forget(self) -> None:
        """Begin again with nobody."""
        ...


def program(tool: str, name: str) -> str:
    """A program of a tool's own environment."""
    return str(HOME / tool / "bin" / name)


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextmanager
def running(command: Sequence[str], url: str, log: Path) -> Iterator[None]:
    """Run a server until the end of the `with` block; ready once `url` answers anything."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=log.parent, start_new_session=True
        )
    try:
        wait_until(lambda: process.poll() is not None or _answers(url), 60)
        assert process.poll() is None, f"{command[0]} ended: see {log}"
        yield
    finally:
        _end(process)


def _answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=5)
    except httpx.TransportError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
