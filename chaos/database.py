"""What can be done to the database, to the network before it and to its rows."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

from chaos.cluster import Cluster
from chaos.plan import Deed
from chaos.proxy import Mood, Proxy

_LOCK = "SELECT FROM address WHERE digest = ANY(%s) ORDER BY id FOR UPDATE"
_MOODS = {
    Deed.SILENCE_OLD: Mood.SILENCE_OLD,
    Deed.SILENCE_ALL: Mood.SILENCE_ALL,
    Deed.DROP: Mood.DROP,
}


@dataclass(frozen=True, slots=True)
class Database:
    """Both servers, the network before them, and rows in them.

    Whatever is done to the primary alone, the standby stays.
    """

    cluster: Cluster
    proxy: Proxy
    rows: Rows

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
                self.rows.lock()
            case _:
                self.proxy.behave(_MOODS[deed])

    def recover(self, deed: Deed) -> None:
        """See Victim."""
        match deed:
            case Deed.KILL | Deed.STOP | Deed.GO_AWAY:
                self.cluster.start()
            case Deed.FAIL_OVER:
                self.cluster.fail_over()
            case Deed.FREEZE:
                self.cluster.signal(signal.SIGCONT)
            case Deed.LOCK:
                self.rows.release()
            case _:
                self.proxy.behave(Mood.PASS)


@dataclass(slots=True)
class Rows:
    """Rows of people, locked past the network by a transaction that stays open."""

    cluster: Cluster
    digests: Sequence[bytes]
    held: threading.Event = field(default_factory=threading.Event)
    """Set while they are locked."""
    _connection: psycopg.Connection | None = None

    def lock(self) -> None:
        """Lock those that exist. Raises psycopg.Error, or RuntimeError if none does.

        A missing one is an opt-out that was acknowledged and lost, which the audit reports.
        """
        self._connection = psycopg.connect(self.cluster.primary.url, connect_timeout=10)
        if not self._connection.execute(_LOCK, [list(self.digests)]).rowcount:
            raise RuntimeError(f"no rows of {len(self.digests)} people to be locked")
        self.held.set()

    def release(self) -> None:
        """End the transaction. Raises psycopg.Error if it was lost meanwhile."""
        self.held.clear()
        if self._connection:
            self._connection.rollback()
            self._connection.close()
            self._connection = None
