"""PgBouncer of our own, in transaction pooling, for `make test-pgbouncer`.

Its settings are those that docs/databases.md advises, but for a pool that is small on purpose.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from dev.accounts import write_private
from dev.errors import EngineError
from dev.postgres import USER
from dev.server import Server, State

DEBIAN = "/usr/sbin/pgbouncer"  # off the PATH of users


class PgBouncer(Server):
    """A pooler before the PostgreSQL on a port, which hands each transaction to any session."""

    name = "pgbouncer"
    stop_signals = ((signal.SIGINT, 10), (signal.SIGTERM, 10), (signal.SIGKILL, 10))
    port: int
    """The port of the PostgreSQL; to be set before it is started."""
    pool_size = 4
    """Sessions of the server; few, so that each serves many clients."""
    users: Mapping[str, str]
    """The passwords of the roles that may connect; the same."""

    def point_to(self, port: int, users: Mapping[str, str]) -> None:
        """Use another PostgreSQL from now on; one that runs reads its settings again."""
        self.port, self.users = port, users
        if self.running and (pid := self.state.pid):
            self._write_settings(self.state)
            os.kill(pid, signal.SIGHUP)

    @property
    def url(self) -> str:
        """`postgresql://` address of the service's database."""
        return f"postgresql://{USER}:{quote(self.users[USER])}@127.0.0.1:{self.state.port}/{USER}"

    def pooled(self, url: str) -> str:
        """The address by which a database of that server is reached through the pooler."""
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{user}@127.0.0.1:{self.state.port}").geturl()

    def _prepare(self, state: State) -> list[str | Path]:
        program = shutil.which("pgbouncer") or (DEBIAN if Path(DEBIAN).exists() else None)
        if program is None:
            raise EngineError("Found no pgbouncer: install it, e.g. with apt-get install pgbouncer")
        self._write_settings(state)
        return [program, self._config]

    def _write_settings(self, state: State) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        lines = (f'"{name}" "{password}"\n' for name, password in self.users.items())
        write_private(self.data / "users.txt", "".join(lines))
        write_private(self._config, "\n".join(self._settings(state)) + "\n")
        self.account.give(self.data)

    def _settings(self, state: State) -> list[str]:
        return [
            "[databases]",
            f"* = host=127.0.0.1 port={self.port}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {state.port}",
            "unix_socket_dir =",
            "auth_type = scram-sha-256",
            f"auth_file = {self.data / 'users.txt'}",
            "pool_mode = transaction",
            "max_client_conn = 500",
            f"default_pool_size = {self.pool_size}",
            "max_prepared_statements = 200",
            "server_connect_timeout = 2",
            "server_login_retry = 1",
            "tcp_user_timeout = 10000",
        ]

    @property
    def _markers(self) -> tuple[str, ...]:
        return (str(self._config),)

    @property
    def _config(self) -> Path:
        return self.data / "pgbouncer.ini"

    def _answers(self) -> bool:
        """Whether it listens; the PostgreSQL behind it may be away."""
        try:
            socket.create_connection(("127.0.0.1", self.state.port), 5).close()
        except OSError:
            return False
        return True
