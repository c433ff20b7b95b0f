"""Which system user the servers run as, and where that user can keep data."""

from __future__ import annotations

import hashlib
import logging
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dev.errors import EngineError

log = logging.getLogger(__name__)

# Others may pass through, not list: each server's own folder below is 0700.
PASSABLE = 0o711


@dataclass(frozen=True, slots=True)
class Account:
    """The user that servers run as. Without ids: ourselves."""

    uid: int | None = None
    gid: int | None = None

    def give(self, path: Path) -> None:
        """Make the account owner of a file or of a whole tree."""
        if self.uid is None or self.gid is None:
            return
        os.chown(path, self.uid, self.gid)
        if path.is_dir():
            for found in path.rglob("*"):
                os.chown(found, self.uid, self.gid, follow_symlinks=False)

    def can_pass(self, folder: Path) -> bool:
        """Whether the account can reach what lies in `folder`."""
        if self.uid is None:
            return True
        chain = [folder, *folder.parents]
        return all(part.stat().st_mode & stat.S_IXOTH for part in chain)

    def popen(
        self, command: Sequence[str | Path], *, cwd: Path, output: IO[bytes] | int
    ) -> subprocess.Popen[bytes]:
        """Start a program as this account, what it prints going to `output`.

        It gets a session of its own: Ctrl-C in the terminal is for the supervisor, which
        stops the servers last. Its messages are English, since we read them.
        """
        return subprocess.Popen(
            command,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            cwd=cwd,
            env=os.environ | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, command: Sequence[str | Path], *, cwd: Path) -> str:
        """Run a program as this account to its end and return what it printed.

        Raises EngineError with that text if the program can't be run or fails.
        """
        try:
            with self.popen(command, cwd=cwd, output=subprocess.PIPE) as process:
                output = process.communicate()[0].decode(errors="replace")
        except OSError as error:
            raise EngineError(f"{command[0]} can't be run: {error}") from error
        if process.returncode:
            raise EngineError(f"{command[0]} failed:\n{output}")
        return output


def server_account() -> Account:
    """Return `nobody` when we are root, since PostgreSQL refuses to run as root; else ourselves."""
    if os.geteuid() != 0:
        return Account()
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        message = "PostgreSQL refuses to run as root and there is no user 'nobody': use another"
        raise EngineError(message) from None
    return Account(entry.pw_uid, entry.pw_gid)


def data_folder(checkout: Path, account: Account) -> Path:
    """Make and return the folder for all data of this checkout: `.data/` in it if possible.

    Below a folder that `account` may not pass (root's 0700 home, say) `.data/` can't serve;
    then it is a folder of this checkout under /var/tmp, which outlives a reboot, and a
    warning states it.
    """
    checkout = checkout.resolve()
    if account.can_pass(checkout):
        folder = checkout / ".data"
    else:
        digest = hashlib.sha256(str(checkout).encode()).hexdigest()[:12]
        folder = Path("/var/tmp") / f"preference-center-{os.geteuid()}-{digest}"  # noqa: S108
        log.warning("Data is kept in %s: the servers can't reach %s", folder, checkout)
    return private_folder(folder)


def private_folder(folder: Path) -> Path:
    """Make `folder`, ours and passable. Raises EngineError if it is somebody else's."""
    folder.mkdir(mode=PASSABLE, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EngineError(f"{folder} is not a folder of ours: move it away")
    folder.chmod(PASSABLE)
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; whole or not at all."""
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def remove(folder: Path) -> None:
    """Delete a folder and all in it, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)
