"""A primary and a synchronous standby of the same engine, behind a network that can fail."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psycopg

from chaos.heartbeat import Stall
from chaos.proxy import Proxy
from dev.accounts import Account, remove
from dev.pgbouncer import PgBouncer
from dev.postgres import USER, Postgres
from dev.processes import children, wait_until
from dev.server import free_port

ATTACHED = 120.0
"""Seconds within which a new standby has caught up."""
SETTINGS = {"wal_keep_size": "2GB", "wal_retrieve_retry_interval": "200ms"}
"""So that a standby that was cut off goes on at once, and where it was."""
_SYNCHRONOUS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"


class Second(Postgres):
    """The other server."""

    name = "postgres-2"


class Pooler(PgBouncer):
    """As large as a company makes it: sessions that wait for a lock are no one else's meanwhile."""

    pool_size = 20


class Cluster:
    """An engine (dev.engines.Engine) of two servers, one of which takes writes.

    Every commit is on the disks of both before it is acknowledged: what the service knows to be
    committed outlives the primary. Only from a promotion until the next standby has caught up
    is there one copy.
    """

    def __init__(self, folder: Path, account: Account, *, pooled: bool = False) -> None:
        self.servers = (
            Postgres(folder, account, durable=True),
            Second(folder, account, durable=True),
        )
        self.ports = (free_port(), free_port())
        self.proxy: Proxy | None = None
        self.pooler = Pooler(folder, account, durable=True) if pooled else None
        self.primary: Postgres = self.servers[0]
        self.failed_over = 0

    @property
    def url(self) -> str:
        """Both servers through the proxy; libpq takes the one that accepts writes.

        With a pooler, that: it is between the service and the network.
        """
        if self.pooler:
            return self.pooler.url
        password = quote(self.primary.state.password)
        hosts = ",".join("127.0.0.1" for _ in self.ports)
        ports = ",".join(map(str, self.ports))
        return (
            f"postgresql://{USER}:{password}@/{USER}"
            f"?host={hosts}&port={ports}&target_session_attrs=read-write"
        )

    @property
    def stalls(self) -> list[Stall]:
        """When the machine did not let the network run."""
        return self.proxy.stalls if self.proxy else []

    @property
    def standby(self) -> Postgres:
        """The server that is not the primary."""
        return self.servers[self.servers.index(self.primary) - 1]

    @property
    def running(self) -> bool:
        """Whether there is a primary."""
        return self.primary.running

    def start(self) -> None:
        """Start both, first time or again, and wait until they are in step."""
        if self.proxy is not None:
            self.standby.start()  # first: the primary commits nothing without it
            self.primary.start()
            self._await_standby()
            return
        self.primary.start()
        self._attach()
        upstream = [server.state.port for server in self.servers]
        self.proxy = Proxy([*zip(self.ports, upstream, strict=True)])
        self.proxy.start()
        if self.pooler:
            self._point_pooler()
            self.pooler.start()

    def stop(self) -> None:
        """Shut both down, the primary first: it hands the standby all it has."""
        self.primary.stop()
        self.standby.stop()

    def restart(self) -> None:
        """Stop and start both."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """End the primary with all its processes, as a crash of its machine would."""
        pid = self.primary.state.pid
        each = children(pid) if pid else []
        self.primary.kill()
        for child in each:  # a commit may still wait for the standby there
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Signal the primary and all its processes."""
        pid = self.primary.state.pid
        assert pid is not None
        for each in (pid, *children(pid)):  # the parent first: it shall have no more
            with suppress(ProcessLookupError):
                os.kill(each, number)

    def fail_over(self) -> None:
        """Promote the standby of a primary that is gone, and make that one its standby."""
        promoted = self.standby
        promoted.promote()
        self.primary = promoted
        self.failed_over += 1
        if self.pooler:
            self._point_pooler()
        self._attach()

    def _point_pooler(self) -> None:
        """Have the pooler use the primary, as an operator or the tool of the failover does."""
        assert self.pooler
        port = self.ports[self.servers.index(self.primary)]
        self.pooler.point_to(port, {USER: self.primary.state.password})

    def remove(self) -> None:
        """Stop all, and delete what the servers hold."""
        if self.pooler:
            self.pooler.stop()
        if self.proxy is not None:
            self.proxy.stop()
        self.stop()
        for server in self.servers:
            remove(server.data)

    def _attach(self) -> None:
        """Have a new standby catch up, and from then on wait for it with every commit."""
        self._set(self.primary, "RESET synchronous_standby_names")
        for name, value in SETTINGS.items():
            self._set(self.primary, f"SET {name} = '{value}'")
        self.standby.follow(self.primary)
        self._set(self.primary, "SET synchronous_standby_names = '*'")
        self._await_standby()

    def _await_standby(self) -> None:
        if not wait_until(self._synchronous, ATTACHED):
            raise RuntimeError(f"the standby does not catch up: {self.standby.log}")

    @staticmethod
    def _set(server: Postgres, setting: str) -> None:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM {setting}".encode())
            connection.execute("SELECT pg_reload_conf()")

    def _synchronous(self) -> bool:
        with psycopg.connect(self.primary.url) as connection:
            found = connection.execute(_SYNCHRONOUS).fetchone()
            return bool(found and found[0])
