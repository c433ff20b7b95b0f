"""The image's processes as a container engine starts them, with the kernel's own tools.

A mount and a process namespace of its own, a read-only root, /tmp and the spool to write to, the
image's user, environment and folder, no capability and no new privileges: what compose.yaml and
deploy/kubernetes ask for. The network is the machine's.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dev.processes import children, wait_until

PATIENCE = 90.0
_MOUNTS = """
mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && mount -t proc proc "$0/proc" &&
mount --rbind /dev "$0/dev" && mount -t tmpfs -o mode=1777 tmp "$0/tmp" &&
mount --bind "$1" "$0/var/lib/preference-center/spool" && shift && exec "$@"
"""
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--propagation", "private")


@dataclass(frozen=True, slots=True)
class Container:
    """A started container; leaving it as a context kills what is left."""

    popen: subprocess.Popen[bytes]
    log: Path

    def __enter__(self) -> Self:
        """Nothing more than to start it has been."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it, if it runs: with the first process of a namespace, all of them end."""
        for process in children(self.popen.pid):  # not --kill-child: USER takes that away
            os.kill(process, signal.SIGKILL)
        self.popen.wait(PATIENCE)

    @property
    def first_process(self) -> int:
        """The process that is number 1 inside."""
        assert wait_until(lambda: bool(children(self.popen.pid)), PATIENCE), self.log.read_text()
        return children(self.popen.pid)[0]

    def stop(self) -> int:
        """Ask it to stop as `docker stop` does, and return its exit code."""
        os.kill(self.first_process, signal.SIGTERM)
        return self.popen.wait(PATIENCE)


@dataclass(frozen=True, slots=True)
class Image:
    """A built image."""

    root: Path
    configuration: Mapping[str, Any]
    spool: Path
    """A folder of the image's user, as a volume."""

    @property
    def environment(self) -> dict[str, str]:
        """What ENV sets."""
        return dict(each.split("=", 1) for each in self.configuration["Env"])

    def command_line(self, words: Sequence[str]) -> list[str]:
        """Run `words` inside, as USER and in WORKDIR."""
        user, folder = self.configuration["User"], self.configuration["WorkingDir"]
        return [
            *_NAMESPACES, "sh", "-c", _MOUNTS, str(self.root), str(self.spool),
            "setpriv", "--no-new-privs",
            "chroot", f"--userspec={user}", "--groups=", str(self.root),
            "env", f"--chdir={folder}", *words,
        ]  # fmt: skip

    def entry(self, arguments: Sequence[str]) -> list[str]:
        """ENTRYPOINT with `arguments`, or else with CMD."""
        return [*self.configuration["Entrypoint"], *(arguments or self.configuration["Cmd"])]

    def start(self, *arguments: str, environ: Mapping[str, str], log: Path) -> Container:
        """Start `docker run --read-only IMAGE ARGUMENTS`, printing to `log`."""
        with log.open("wb") as output:
            popen = subprocess.Popen(
                self.command_line(self.entry(arguments)),
                env={**self.environment, **environ},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        return Container(popen, log)

    def run(
        self, words: Sequence[str], environ: Mapping[str, str], text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `words` inside to their end, with `text` as standard input."""
        return subprocess.run(
            self.command_line(words), env={**self.environment, **environ},
            input=text, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    def command(self, *words: str, environ: Mapping[str, str], text: str = "") -> str:
        """Run a command of the program, which must succeed, and return what it prints."""
        done = self.run(self.entry(words), environ, text)
        assert done.returncode == 0, done.stderr
        return done.stdout
