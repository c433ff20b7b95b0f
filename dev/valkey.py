"""Valkey or Redis of our own: RQ's broker."""

from __future__ import annotations

import signal
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from dev.accounts import remove, write_private
from dev.binaries import Program, find_valkey
from dev.server import Server, State

DATABASES = 64


class Valkey(Server):
    """A Valkey/Redis that keeps what it acknowledged, give or take a second."""

    name = "valkey"
    stop_signals = ((signal.SIGTERM, 20), (signal.SIGKILL, 10))

    @property
    def url(self) -> str:
        """`redis://` address of database 0; there are `DATABASES` of them."""
        state = self.state
        return f"redis://:{state.password}@127.0.0.1:{state.port}/0"

    def _prepare(self, state: State) -> list[str | Path]:
        program = find_valkey(self.account, self.folder.parent / "bin")
        self._forget_others(program)
        self.data.mkdir(mode=0o700, exist_ok=True)
        self._made_by.write_text(program.title)
        # in a file, not on the command line, where anyone could read the password
        write_private(self._config, "\n".join(self._settings(state)))
        self.account.give(self.data)
        return [program.path, self._config]

    def _forget_others(self, program: Program) -> None:
        """Begin empty if another program made the data: none reads all that others write.

        Another one is found once Valkey or Redis is installed on the machine, or upgraded. The
        queue may be lost at any time.
        """
        made_by = self._made_by.read_text() if self._made_by.exists() else None
        if made_by != program.title:
            remove(self.data)

    def _settings(self, state: State) -> list[str]:
        return [
            "bind 127.0.0.1",
            f"port {state.port}",
            f"requirepass {state.password}",
            f"databases {DATABASES}",
            f'dir "{self.data}"',
            # without an append-only file a kill lost every queued job
            f"appendonly {'yes' if self.durable else 'no'}",
            "appendfsync everysec",
            'save ""',
            # a queue must refuse rather than forget
            "maxmemory-policy noeviction",
        ]

    @property
    def _markers(self) -> tuple[str, ...]:
        # it rewrites its command line once it is up
        return (str(self._config), f"127.0.0.1:{self.state.port}")

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url, socket_timeout=5) as client:
                return bool(client.ping())
        except RedisError:
            return False

    @property
    def _made_by(self) -> Path:
        return self.data / "made-by"

    @property
    def _config(self) -> Path:
        return self.data / "valkey.conf"
