"""`python -m dev.run` as a real process, and what a person sees of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Self

import httpx

from dev.accounts import data_folder, server_account
from dev.engines import CHECKOUT
from dev.processes import wait_until
from dev.server import free_port

PATIENCE = 180
"""Seconds, for a machine that does much else."""
TOOLS = ("crm", "email-tool")


@dataclass
class Run:
    """One run with its data in `checkout`; `output_lines` is what it printed."""

    checkout: Path
    process: subprocess.Popen[str]
    output_lines: list[str] = field(default_factory=list)
    listener: Thread = field(init=False)

    def __post_init__(self) -> None:
        self.listener = Thread(target=self._listen, daemon=True)

    @classmethod
    def start(cls, checkout: Path, port: int | None = None) -> Self:
        """Start it, and read what it prints. With port 0 it chooses its own."""
        foreign = {"DATABASE_URL", "REDIS_URL", "DISPLAY", "WAYLAND_DISPLAY"}
        environ = {name: value for name, value in os.environ.items() if name not in foreign}
        chosen = free_port() if port is None else port or ""
        process = subprocess.Popen(
            [sys.executable, "-m", "dev.run", "--data-in", checkout],
            cwd=CHECKOUT,
            env=environ | {"PORT": str(chosen)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        run = cls(checkout, process)
        run.listener.start()
        return run

    def wait_until_up(self) -> None:
        """Wait until it prints that all is up."""
        wait_until(lambda: self.is_up or self.process.poll() is not None, PATIENCE)
        assert self.is_up, self.text

    def _listen(self) -> None:
        assert self.process.stdout
        with self.process.stdout as output:
            for line in output:
                self.output_lines.append(line.rstrip("\n"))

    @property
    def text(self) -> str:
        """All that was printed."""
        return "\n".join(self.output_lines)

    @property
    def is_up(self) -> bool:
        """Whether the last line to try was printed."""
        return len(self.lines_to_try) == 3

    @property
    def lines_to_try(self) -> list[str]:
        """The printed curl lines."""
        return [line.strip() for line in list(self.output_lines) if line.startswith("  curl ")]

    def printed(self, label: str) -> str:
        """What was printed next to `label`."""
        found = re.search(rf"^  {label} +(\S+)$", self.text, re.MULTILINE)
        assert found, self.text
        return found[1]

    @property
    def site(self) -> str:
        """The address of the site."""
        return self.printed("Site")

    @property
    def console(self) -> str:
        """The address of the console, to which the page sends whoever signs in."""
        found = re.search(r'action="([^"]+)/console/sign-in-as"', self.page())
        assert found
        return found[1]

    @property
    def folder(self) -> Path:
        """The data folder."""
        return data_folder(self.checkout, server_account()) / "run"

    def shell(self, line: str) -> str:
        """What a printed line prints when a person pastes it below the line with the key."""
        script = f"KEY={self.printed('API key')}\n{line}"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        return done.stdout

    def page(self) -> str:
        """The page /dev as it is now."""
        return httpx.get(f"{self.site}/dev", timeout=PATIENCE).raise_for_status().text

    def press(self, path: str, **data: str) -> httpx.Response:
        """Send a form of the page; returns the page after it."""
        url = f"{self.site}/dev/{path}"
        answer = httpx.post(url, data=data, follow_redirects=True, timeout=PATIENCE)
        return answer.raise_for_status()

    @property
    def first_recipient(self) -> str:
        """Who the printed links are for."""
        found = re.search(r"may we write to (\S+)\?", self.text)
        assert found
        return found[1]

    def recipient(self) -> str:
        """Who the captured mail on the page is for."""
        found = re.search(r"<dt>To</dt><dd>.*?&lt;(.+?)&gt;</dd>", self.page())
        assert found
        return found[1]

    def states(self, recipient: str) -> list[str]:
        """What each tool has of a recipient: `on` or `off`; nothing while the tools are slow."""
        page = self.page()
        cells = [f'data-tool="{tool}" data-recipient="{recipient}">' for tool in TOOLS]
        if not all(cell in page for cell in cells):
            return []
        return [re.split(r'class="', page.split(cell)[1])[1].split('"')[0] for cell in cells]

    def is_on_in_both(self, recipient: str) -> bool:
        """Whether both tools say `on` as soon as they answer."""
        return wait_until(lambda: self.states(recipient) == ["on", "on"], 30)

    def reaches_both(self, recipient: str) -> bool:
        """Whether both tools say `off` within a minute."""
        return wait_until(lambda: self.states(recipient) == ["off", "off"], 60)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it as a person would; the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.listener.join()
        return code

    def processes(self) -> list[int]:
        """Every process that was started for this data folder and is still there (Linux)."""
        mark = f"DEV_FOLDER={self.folder}\0".encode()
        return [int(path.name) for path in Path("/proc").glob("[0-9]*") if mark in _environ(path)]


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # ended meanwhile, or somebody else's
        return b""


@contextmanager
def running(checkout: Path, port: int | None = None) -> Iterator[Run]:
    """A run that is stopped at the end, if the test has not done so."""
    run = Run.start(checkout, port)
    try:
        run.wait_until_up()
        yield run
    finally:
        if run.process.poll() is None:
            run.stop()
