"""Web processes of any version of the service, each with ports of its own, on one database."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import httpx

from dev.engines import Engines
from dev.processes import wait_until
from dev.server import free_port
from preference_center.infra.config import Settings
from tests.environment import settings_for
from tests.in_force import CATALOGUE

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
_WEB = re.compile(r"^web: (.+)$", re.MULTILINE)


@dataclass(slots=True)
class Web:
    """A web server with its worker processes, in a process group of its own."""

    popen: subprocess.Popen[bytes]
    port: int
    internal_port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """What `/readyz` answers; 0 while nobody does."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.internal_port}/readyz", timeout=10)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()

    def await_ready(self) -> Self:
        """Return once it is ready."""
        assert wait_until(lambda: self.readiness()[0] == 200, PATIENCE), self.log.read_text()
        return self

    def terminate(self) -> int:
        """Ask the server to stop, as an orchestrator does; its exit code."""
        self.popen.terminate()
        return self.popen.wait(PATIENCE)

    def kill(self) -> None:
        """End all of its processes at once, as the kernel does when memory is short."""
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(PATIENCE)


@dataclass(slots=True)
class Fleet:
    """Processes and commands that share a database, settings and a spool."""

    engines: Engines
    folder: Path
    settings: Settings = field(init=False)
    webs: list[Web] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = settings_for(self.engines.database.url, self.engines.redis.url)
        spool = str(self.folder / "spool")
        self.settings = settings.model_copy(update={"spool_dir": spool, "trusted_proxies": 1})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for web in self.webs:
            if web.popen.poll() is None:
                web.kill()

    def start(self, tree: Path = ROOT, port: int | None = None) -> Web:
        """Start `web` of the service whose files lie in `tree`, on `port` or a free one."""
        found = _WEB.search((tree / "Procfile").read_text())
        assert found
        port, internal_port = port or free_port(), free_port()
        log = self.folder / f"{len(self.webs)}-web.log"
        ports = {"PORT": str(port), "INTERNAL_PORT": str(internal_port)}
        with log.open("wb") as output:
            popen = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {found[1]}"],
                cwd=tree,
                env=self._environ() | ports,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        web = Web(popen, port, internal_port, log)
        self.webs.append(web)
        return web

    def replace(self, web: Web, tree: Path = ROOT) -> Web:
        """Stop it, and start another one on its port."""
        assert web.terminate() == 0
        return self.start(tree, web.port).await_ready()

    def run(self, *words: str, tree: Path = ROOT, given: str = "") -> str:
        """What a command of the service prints."""
        return subprocess.run(
            [sys.executable, "-m", "preference_center", *words],
            cwd=tree, env=self._environ(), input=given, text=True, check=True,
            stdout=subprocess.PIPE,
        ).stdout  # fmt: skip

    def set_up(self, tree: Path = ROOT, revision: str = "head") -> str:
        """Make the tables, apply a catalogue, and return an API key that may ask for decisions."""
        self.run("db", "upgrade", revision, tree=tree)
        self.run("catalogue", "apply", "-", tree=tree, given=CATALOGUE)
        words = ["--scope", "check", "--message-type", "*", "--rate", "none"]
        return self.run("keys", "add", "shop", *words, tree=tree).split()[-1]

    def _environ(self) -> dict[str, str]:
        given = self.settings.model_dump(exclude_none=True)
        return os.environ | {
            **{name.upper(): str(value) for name, value in given.items()},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }


def newest_migration() -> Path:
    """The file of the migration that no other one follows."""
    return max((ROOT / "migrations" / "versions").glob("[0-9]*.py"))


def check_out_before(file: Path, folder: Path) -> Path:
    """The files of the service as of the commit before `file` was added, in `folder`."""
    added = _git("log", "--diff-filter=A", "--format=%H", "--", str(file)).decode().split()
    commit = f"{added[-1]}^" if added else "HEAD"  # not committed yet
    names = ["Procfile", "app.py", "migrations", "preference_center", "templates", "workers"]
    with tarfile.open(fileobj=BytesIO(_git("archive", commit, *names))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _git(*words: str) -> bytes:
    command: Sequence[str] = ["git", *words]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
