"""What can be done to the database, to the network before it and to its rows."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import psycopg

from chaos.cluster import Cluster
from chaos.plan import Deed
from chaos.proxy import Mood, Proxy
from chaos.spool import SpoolDisk

_TABLES = ("suppression", "event", "address")
"""Each opt-out writes to all of them."""
_LOCK = "SELECT FROM address WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
_MOODS = {
    Deed.SILENCE_OLD: Mood.SILENCE_OLD,
    Deed.SILENCE_ALL: Mood.SILENCE_ALL,
    Deed.DROP: Mood.DROP,
}


@dataclass(frozen=True, slots=True)
class Database:
    """Both servers, the network before them, and locks in them.

    Whatever is done to the primary alone, the standby stays.
    """

    cluster: Cluster
    proxy: Proxy
    locks: Locks
    disk: SpoolDisk

    def strike(self, deed: Deed) -> None:
        """See Victim."""
        match deed:
            case Deed.KILL | Deed.FAIL_OVER:
                self.cluster.kill()
            case Deed.STOP:
                self.cluster.primary.stop()
            case Deed.GO_AWAY:
                self.cluster.stop()
            case Deed.FREEZE:
                self.cluster.signal(signal.SIGSTOP)
            case Deed.LOCK:
                self.locks.lock_rows()
            case Deed.LOCK_TABLE:
                self.locks.lock_table("SHARE")
            case Deed.REWRITE:
                self.locks.lock_table("ACCESS EXCLUSIVE")
            case Deed.FILL_SPOOL:
                self.cluster.stop()
                self.disk.fill()
            case _:
                self.proxy.behave(_MOODS[deed])

    def recover(self, deed: Deed) -> None:
        """See Victim."""
        match deed:
            case Deed.KILL | Deed.STOP | Deed.GO_AWAY:
                self.cluster.start()
            case Deed.FILL_SPOOL:
                self.disk.free()
                self.cluster.start()
            case Deed.FAIL_OVER:
                self.cluster.fail_over()
            case Deed.FREEZE:
                self.cluster.signal(signal.SIGCONT)
            case Deed.LOCK | Deed.LOCK_TABLE | Deed.REWRITE:
                self.locks.release()
            case _:
                self.proxy.behave(Mood.PASS)


@dataclass(slots=True)
class Locks:
    """Rows of people, or a table, locked past the network by a transaction that stays open."""

    cluster: Cluster
    addresses: Sequence[int]
    """By id, which stays when the digest keys change."""
    held: threading.Event = field(default_factory=threading.Event)
    """Set while the rows are locked."""
    _tables: Iterator[str] = field(default_factory=lambda: cycle(_TABLES))
    _connection: psycopg.Connection | None = None

    def lock_rows(self) -> None:
        """Lock those that exist. Raises psycopg.Error, or RuntimeError if none does.

        A missing one is an opt-out that was acknowledged and lost, which the audit reports.
        """
        if not self._connect().execute(_LOCK, [self.addresses]).rowcount:
            raise RuntimeError(f"no rows of {len(self.addresses)} people to be locked")
        self.held.set()

    def lock_table(self, mode: str) -> None:
        """Lock the next one. Raises psycopg.Error."""
        self._connect().execute(f"LOCK TABLE {next(self._tables)} IN {mode} MODE".encode())

    def release(self) -> None:
        """End the transaction. Raises psycopg.Error if it was lost meanwhile."""
        self.held.clear()
        if self._connection:
            self._connection.rollback()
            self._connection.close()
            self._connection = None

    def _connect(self) -> psycopg.Connection:
        self._connection = psycopg.connect(self.cluster.primary.url, connect_timeout=10)
        return self._connection
