"""PostgreSQL and Valkey/Redis for `make run` and `make test`, with nothing installed.

`DATABASE_URL` and `REDIS_URL` name servers that are there already. Without them we start
our own: the system's programs, else those inside Python wheels, listening on the loopback
only, with their data in `.data/` of the checkout.

`python -m dev.engines` starts those of `make run` alone and prints their addresses;
`python -m dev.engines forget` deletes what they hold.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from dev.accounts import data_folder, private_folder, remove, server_account
from dev.errors import EngineError
from dev.postgres import Postgres
from dev.valkey import Valkey

__all__ = ["Engine", "EngineError", "Engines", "Foreign", "at", "for_run", "for_test"]

CHECKOUT = Path(__file__).resolve().parents[1]


class Engine(Protocol):
    """A server that may be ours to start and stop."""

    @property
    def url(self) -> str:
        """Where it listens, with its password."""

    @property
    def running(self) -> bool:
        """Whether its process is there."""

    def start(self) -> None:
        """Start it and wait until it answers; nothing if it runs already."""

    def stop(self) -> None:
        """Shut it down cleanly; nothing if it is down already."""

    def restart(self) -> None:
        """Stop and start it, at the same address."""

    def kill(self) -> None:
        """End it as a crash would."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A server named in the environment: used, never started or stopped."""

    url: str
    running: bool = True

    def start(self) -> None:
        """Do nothing: it runs."""

    def stop(self) -> None:
        """Raise EngineError: it is not ours."""
        raise EngineError("DATABASE_URL or REDIS_URL names this server: it is not ours to stop")

    restart = kill = stop


@dataclass(slots=True)
class Engines:
    """Both engines, and the lock on the folder they live in. Stops what is ours on exit."""

    folder: Path
    database: Engine
    redis: Engine
    lock: IO[str] | None = None

    def start(self) -> Self:
        """Start both. Raises EngineError, leaving none behind, if one does not come up."""
        try:
            self.database.start()
            self.redis.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop those that are ours, no matter who started them."""
        for engine in (self.redis, self.database):
            if not isinstance(engine, Foreign):
                engine.stop()

    def release(self) -> None:
        """Stop, and let the folder be used by the next."""
        self.stop()
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    def __enter__(self) -> Self:
        """Start both. Releases the folder if one does not come up."""
        try:
            return self.start()
        except BaseException:
            self.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop and release."""
        self.release()


def for_run(checkout: Path = CHECKOUT, environ: Mapping[str, str] = os.environ) -> Engines:
    """Engines of `make run`, not started yet: what they hold is still there next time.

    Raises EngineError while another process has them.
    """
    base = data_folder(checkout, server_account())
    return _claim(base, ["run"], environ, durable=True)


def forget(checkout: Path = CHECKOUT) -> Path:
    """Delete what the engines of `make run` hold, and return their folder.

    Raises EngineError while another process has them.
    """
    engines = for_run(checkout)
    remove(engines.folder)
    engines.release()
    return engines.folder


def for_test(
    checkout: Path = CHECKOUT, environ: Mapping[str, str] = os.environ, *, durable: bool = False
) -> Engines:
    """Engines for one run of tests, not started yet: empty, and quick rather than durable.

    Any number of runs can have theirs at once.
    """
    base = data_folder(checkout, server_account())
    names = (f"test-{number}" for number in itertools.count())
    engines = _claim(base, names, environ, durable=durable)
    for server in (Postgres.name, Valkey.name):
        remove(engines.folder / server)
        (engines.folder / f"{server}.log").unlink(missing_ok=True)
    return engines


def at(folder: Path, *, durable: bool, environ: Mapping[str, str] = os.environ) -> Engines:
    """Engines with their data in `folder`, which another process may have started."""
    account = server_account()
    database = environ.get("DATABASE_URL")
    redis = environ.get("REDIS_URL")
    return Engines(
        folder,
        Foreign(database) if database else Postgres(folder, account, durable=durable),
        Foreign(redis) if redis else Valkey(folder, account, durable=durable),
    )


def _claim(
    base: Path, names: Iterable[str], environ: Mapping[str, str], *, durable: bool
) -> Engines:
    """Take the first folder nobody has; stop what a killed supervisor left running there."""
    (base / "bin").mkdir(mode=0o755, exist_ok=True)
    for name in names:
        folder = private_folder(base / name)
        lock = (folder / "lock").open("a")
        try:
            # the system lets go of it when the process ends, however it ends
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        engines = at(folder, durable=durable, environ=environ)
        engines.lock = lock
        engines.stop()
        return engines
    raise EngineError(f"Another process runs the engines in {base}: stop it first")


def main(arguments: list[str]) -> None:
    """Run the engines until Ctrl-C or SIGTERM; with `forget`, delete their data instead."""
    if arguments == ["forget"]:
        print(f"Deleted {forget()}")
        return
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's `&` leaves SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt), for_run() as engines:
        print(f"DATABASE_URL={engines.database.url}")
        print(f"REDIS_URL={engines.redis.url}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
