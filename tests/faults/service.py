"""The service as it runs for real: every process of the Procfile, to kill and to freeze."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import psycopg
from flask import Flask

from dev.engines import Engines
from dev.processes import wait_until
from dev.server import free_port
from preference_center.__main__ import read_procfile
from preference_center.app.web import create_app
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.core.links.tokens import Link
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store.destinations import insert_destination, set_status
from preference_center.infra.config import Settings
from preference_center.infra.context import db, services
from preference_center.infra.db.connections import COMMAND_TIMEOUTS
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from tests.environment import migrate, settings_for
from tests.faults.forks import Fork, fork
from tests.in_force import put_in_force
from tests.integrations.tools.receiver import SECRET

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
START = 120.0
"""Seconds within which a process is at work, after imports of two seconds on an idle machine."""
TOPIC = "acme.offers"
_TLS = ssl.create_default_context()
"""Unused, as all is HTTP; but else httpx makes one for each request, in 7 ms."""


@dataclass(slots=True)
class Process:
    """One line of the Procfile at work, in a process group of its own."""

    popen: subprocess.Popen[bytes] | Fork
    log: Path
    _ended: bool = field(default=False, init=False)

    def signal(self, number: signal.Signals) -> None:
        """Signal the process and all of its children."""
        os.killpg(self.popen.pid, number)

    def end(self) -> None:
        """Kill whatever is left of it; once, since its number may go to another group."""
        if self._ended:
            return
        self._ended = True
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self.popen.wait()

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None


@dataclass(slots=True)
class Service:
    """Real processes on engines of their own. Ends them all, however the test ends."""

    engines: Engines
    folder: Path
    port: int = field(default_factory=free_port)
    console_port: int = field(default_factory=free_port)
    processes: list[Process] = field(default_factory=list)
    extra: Mapping[str, str] = field(default_factory=dict)
    """Variables of the environment of every process, besides the settings."""
    forks: bool = False
    """Whether processes begin with everything imported."""
    settings: Settings = field(init=False)
    app: Flask = field(init=False)
    """An app of the test's own, for what it does past the processes."""

    def __post_init__(self) -> None:
        self.settings = settings_for(self.engines.database.url, self.engines.redis.url)
        self.shift(timedelta())
        migrate(self.settings)
        self.app = create_app(self.settings, timeouts=COMMAND_TIMEOUTS)
        put_in_force(self.app)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.end()
        with self.app.app_context():
            db.engine.dispose()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str, *, ready: bool = True, shifts: bool = True) -> Process:
        """Start the process that the Procfile calls `name`.

        All but the web servers go by the shifted clock: see `shift`. Without `shifts` they go by
        that of production.
        """
        command = read_procfile(ROOT / "Procfile")[name]
        if shifts and "workers.web" not in command:
            command = command.replace("python -m ", "python -m tests.faults.shifted ")
        process = self._start(name, command, self.environ())
        if ready and name == "web":
            assert wait_until(self._answers, START), process.log.read_text()
        return process

    @contextmanager
    def wrong_clock(self, by: timedelta) -> Iterator[None]:
        """Processes that are started inside see a clock that is wrong, and nobody else."""
        if not by:
            yield
            return
        before = self.extra
        self.extra = {**before, **wrong_clock(by)}
        try:
            yield
        finally:
            self.extra = before

    def run(self, *arguments: str, **environ: str) -> Process:
        """Start a command of the service, with these variables besides."""
        command = f"python -m preference_center.__main__ {' '.join(arguments)}"
        return self._start(arguments[0], command, self.environ() | environ)

    def _start(self, name: str, command: str, environ: Mapping[str, str]) -> Process:
        log = self.folder / f"{len(self.processes)}-{name}.log"
        log.touch()
        process = Process((fork if self.forks else _start)(command, ROOT, environ, log), log)
        self.processes.append(process)
        return process

    def shift(self, by: timedelta) -> None:
        """Put the clock of workers and scheduler ahead; also of those that run already."""
        scratch = self._shift.with_suffix(".new")
        scratch.write_text(str(by.total_seconds()))
        scratch.rename(self._shift)

    def add_destination(
        self,
        url: str,
        name: str = "shop",
        kind: str = "webhook",
        settings: Mapping[str, str] | None = None,
        mapping: Mapping[str, str] | None = None,
    ) -> None:
        """Connect the webhook receiver at `url`, or a tool of another kind."""

        def work(connection: Connection) -> None:
            number = insert_destination(
                connection,
                services().keys,
                name=name,
                kind=kind,
                settings=settings or {"url": f"{url}/hook", "secret": SECRET},
                channels=frozenset({Channel.EMAIL}),
                mapping=mapping or {},
                sends=frozenset({TOPIC}),
                sends_service=False,
                now=datetime.now(UTC),
            )
            set_status(connection, number, DestinationStatus.ACTIVE)

        with self.app.app_context():
            run_in_transaction(work)

    def token(self, address: str) -> str:
        """A signed link's token."""
        link = Link(
            parse_address(address, Channel.EMAIL),
            TOPIC,
            "0198f1de-7c1a-7000-8000-0000000000ab",
            _now(),
        )
        with self.app.app_context():
            return services().links.create_token(link)

    def digest(self, address: str) -> bytes:
        """Under which the database knows the address."""
        with self.app.app_context():
            return services().keys.exact_digest(parse_address(address, Channel.EMAIL))

    def click(self, token: str) -> None:
        """Opt out, again after a 503: a machine that stood still is no fault."""
        assert wait_until(lambda: self.post(token).status_code == 200, PATIENCE)

    def post(self, token: str, client: httpx.Client | None = None) -> httpx.Response:
        """Unsubscribe with one click (RFC 8058)."""
        data = {"List-Unsubscribe": "One-Click"}
        url = f"{self.url}/u/{token}"
        if client:
            return client.post(url, data=data, timeout=10)  # a client's
        return httpx.post(url, data=data, timeout=10, verify=_TLS)

    def opt_in(self, address: str) -> None:
        """Record the person's own opt-in, as a page would."""
        with self.app.app_context():
            record([change(address, EventKind.OPTED_IN)])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database, past the service."""
        with psycopg.connect(self.settings.database_url) as connection:
            return connection.execute(query.encode()).fetchall()

    def pending(self) -> int:
        """How many opt-outs no worker has settled yet."""
        return int(self.rows("SELECT count(due_at) FROM sync_state")[0][0])

    def logs(self) -> str:
        """What all processes wrote."""
        return "".join(process.log.read_text() for process in self.processes)

    def environ(self) -> dict[str, str]:
        """The environment of each of its processes."""
        given = self.settings.model_dump(exclude_none=True)
        return os.environ | {
            **{name.upper(): str(value) for name, value in given.items()},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PORT": str(self.port),
            "CONSOLE_PORT": str(self.console_port),
            "CLOCK_SHIFT": str(self._shift),
            "CONNECTORS_ALLOW_PRIVATE": "1",
            "PYTHONUNBUFFERED": "1",
            **self.extra,
        }

    @property
    def _shift(self) -> Path:
        return self.folder / "shift"

    def status(self, path: str) -> int:
        """What GET `path` is answered with; 0 if nobody answers."""
        try:
            return httpx.get(f"{self.url}{path}", timeout=5, verify=_TLS).status_code
        except httpx.TransportError:
            return 0

    def _answers(self) -> bool:
        return self.status("/healthz") == 200


def wrong_clock(by: timedelta) -> dict[str, str]:
    """Variables of the environment of a process that sees a clock that is wrong."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "faketime is missing: apt-get install faketime"
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME": f"{by.total_seconds():+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _start(
    command: str, folder: Path, environ: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            cwd=folder,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def change(address: str, kind: EventKind) -> Change:
    """What somebody did about `TOPIC` just now."""
    now, parsed = _now(), parse_address(address, Channel.EMAIL)
    return Change(uuid4(), kind, parsed, TOPIC, now, now, "test", "test")


def _now() -> datetime:
    return datetime.now(UTC)
