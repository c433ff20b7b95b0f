"""The database is away: opt-outs are spooled, all else waits, and a replay records them (I1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from preference_center.core.errors import Unavailable
from preference_center.inbound.ingest import ingest_mail
from preference_center.infra.context import services
from preference_center.infra.db import connections
from preference_center.infra.db.transactions import run_autocommit, run_in_transaction
from preference_center.ledger.spool import recorder, replay_abandoned
from preference_center.ledger.spool.folder import (
    DAMAGED_SUFFIX,
    REJECTED_SUFFIX,
    SPOOL_SUFFIX,
    SpoolFolder,
)
from preference_center.ledger.spool.recorder import Spool, SpoolWriter
from preference_center.ledger.spool.replayer import SpoolReplayer
from preference_center.senders.keys import create_api_key
from preference_center.web.api.keys import KeyScope
from simulation.acts import Act
from simulation.checking import Checks
from simulation.crew import Crew, Mishap
from simulation.entry_points import PAIR, REPEAT, SERVED, EntryPoints, address, link, mail_of
from simulation.ground import Ground
from simulation.oracle import OptOut, Oracle
from simulation.people import Form, forms_of
from simulation.violation import Violation
from tests.environment import with_database

KINDS = frozenset({"database_away", "database_lost"})
ACCEPTED = frozenset({"one_click", "page", "mailed"})
"""What is answered with success all the same; people do all else once the database is back."""
APART = timedelta(seconds=20)
"""Between two of those: more than the clocks of two hosts differ."""
ROUNDED = timedelta(milliseconds=1)
"""How exactly the spool knows when it was given something."""
KILLED = 0.5
"""How many replays are cut off, and done again by another process."""
STEPS = 6
LATER = timedelta(hours=4)
"""Within which the other hosts' spools are replayed, which have no process any more."""
PATIENCE = 60.0
"""Seconds of real time in which PostgreSQL must end sessions."""
_RECORDED = """
SELECT given.place - 1, count(e.id), count(e.id) FILTER (
    WHERE abs(extract(epoch FROM e.received_at - given.at)) <= %s)
FROM unnest(%s::bytea[], %s::text[], %s::timestamptz[])
    WITH ORDINALITY AS given (digest, scope, at, place)
LEFT JOIN address a ON a.digest = given.digest AND a.channel = 'email'
LEFT JOIN event e ON e.address_id = a.id AND e.scope = given.scope AND e.kind = 'opted_out'
    AND e.own AND e.received_at BETWEEN given.at - %s AND given.at + %s
GROUP BY given.place
"""
"""How often each opt-out is recorded: with its repeats of some seconds, and alone."""


@dataclass(slots=True)
class Outages:
    """At most one at a time. Each web host has a spool; that of the first is replayed at once."""

    ground: Ground
    folder: Path
    client: Any
    crew: Crew
    entry_points: EntryPoints
    checks: Checks
    later: Callable[[datetime, str, Callable[[], None]], None]
    trace: Callable[[str], None]
    back_at: datetime | None = None
    """When the database is back; None while it is there."""
    _key: str = ""
    _waiting: int = 0
    """How much waits for that."""
    _spools: dict[int, Spool] = field(default_factory=dict)
    _spooled: dict[int, list[OptOut]] = field(default_factory=dict)
    """What each host has still to record."""

    @property
    def is_away(self) -> bool:
        """Whether the database is."""
        return self.back_at is not None

    def database_away(self, act: Act) -> str:
        """It goes now."""
        return self.begin(act.number)

    def database_lost(self, act: Act) -> None:
        """It goes while a worker is at work, at its step `form`."""
        self.crew.mishaps.append(Mishap(act.what, act.form, act.number, act.scope))

    def begin(self, seconds: int) -> str:
        """Nobody can connect any more, and every session ends."""
        if self.is_away:
            return "away already"
        clock = self.ground.clock
        self._key = self._key or _make_key()
        connections.track_outages()
        self._spool_of(0)
        self.back_at, self._waiting = clock.now + timedelta(seconds=seconds), 0
        self.later(self.back_at, "the database is back", self._back)
        self.checks.disconnect()
        _allow_connections(self.ground.url, allow=False)
        return f"until {self.back_at:%d %H:%M}"

    def end(self) -> None:
        """Have nothing left behind, also where a run was broken off."""
        if self.is_away:
            _allow_connections(self.ground.url, allow=True)
        self.back_at = None
        for name in (recorder.EXTENSION_KEY, connections.EXTENSION_NAME):
            self.ground.app.extensions.pop(name, None)
        for spool in self._spools.values():
            spool.writer.close_file()

    def put_off(self, what: str, do: Callable[[], None]) -> bool:
        """Whether this has to wait for the database; then it does."""
        if self.back_at is None:
            return False
        self._waiting += 1
        self.later(self.back_at + self._waiting * APART, what, do)
        return True

    def accept(self, act: Act) -> str:
        """An opt-out is accepted on the disk of the host that serves it, and decisions are not."""
        hosts = self.entry_points.hosts
        form, host = forms_of(act.who)[act.form], 0
        if act.what in SERVED:
            host = act.number % len(hosts)
        with self._on(host):
            self._send(form, act)
            # As the database's clock would have it, but never before what the host showed.
            at = max(services().now(), self.ground.clock.now)
            self._is_refused(form)
            if host == 0:
                self._retry_in_vain()
        opt_out = OptOut(form, act.scope, at - ROUNDED, at + ROUNDED, at, sure=False)
        self.entry_points.oracle.add_opt_out(opt_out)
        self.entry_points.ours.add(id(opt_out))
        self._spooled.setdefault(host, []).append(opt_out)
        return f"spooled by host {host}"

    def _send(self, form: Form, act: Act) -> None:
        if act.what == "mailed":
            mail, to = mail_of(form, act.scope)
            if not ingest_mail(mail, [to], services().now(), size=len(mail)).result.spooled:
                raise Violation("I1: a mail to a valid mailto is not spooled")
            return
        data = PAIR if act.what == "one_click" else {"confirm": "this"}
        token = services().links.create_token(link(form, act.scope))
        status = self.client.post(f"/u/{token}", data=data).status_code
        if status != 202:
            raise Violation(f"I1: a valid link answers {status} while the database is away")

    def _is_refused(self, form: Form) -> None:
        status = self._decide(form)
        if status != 503:
            raise Violation(f"I2, I11: a decision answers {status} while the database is away")

    def _decide(self, form: Form) -> int:
        given = {"message_type": "send.news", "recipient": form.text}
        headers = {"Authorization": f"Bearer {self._key}"}
        status: int = self.client.post("/v1/decisions", json=given, headers=headers).status_code
        return status

    def _retry_in_vain(self) -> None:
        """As the thread of the process does, twice a second."""
        with suppress(Unavailable):
            self._replayer().run_once()
            raise Violation("I1: a spool is replayed while the database is away")

    # --- it is back

    def _back(self) -> None:
        _allow_connections(self.ground.url, allow=True)
        self.back_at = None
        self._replay(0)
        if (status := self._decide(forms_of(0)[0])) != 200:
            raise Violation(f"I2: a decision answers {status} though the database is back")
        for host in sorted(self._spooled):
            at = self.ground.clock.now + services().random.random() * LATER
            self.later(at, f"the spool of host {host} is replayed", partial(self._replay, host))

    def _replay(self, host: int) -> None:
        """By the host's own process, or, where it has none any more, by a command."""
        if self.put_off(f"the spool of host {host} is replayed", partial(self._replay, host)):
            return
        random = services().random

        def work() -> None:
            with self._on(host):
                if host == 0:
                    self._replayer().run_once()
                else:
                    replay_abandoned(self.ground.app)

        if random.random() < KILLED:
            mishap = Mishap("killed", 1 + random.randrange(STEPS))
            self.crew.cut_off(mishap, f"the replay of host {host}", work)
        work()
        self._is_empty(host)
        if opt_outs := self._spooled.pop(host, []):
            self._expect_recorded(opt_outs)
            self.trace(f"{len(opt_outs)} opt-outs of the spool of host {host} are recorded")

    def _is_empty(self, host: int) -> None:
        folder = self._spool_of(host).folder
        for suffix in (SPOOL_SUFFIX, REJECTED_SUFFIX, DAMAGED_SUFFIX):
            if folder.files(suffix):
                raise Violation(f"I1: a replay leaves a file *{suffix}")

    def _expect_recorded(self, opt_outs: Sequence[OptOut]) -> None:
        """Each once, at the time of its receipt; decisions know of it from now on (I1, I2)."""
        now, oracle = self.ground.clock.now, self.entry_points.oracle
        for opt_out in opt_outs:
            learn_recorded(oracle, opt_out, now)
            self.entry_points.known(opt_out.form, now)
            oracle.changed[opt_out.form.person] = now
        digest = services().keys.exact_digest
        columns = [
            [digest(address(opt_out.form)) for opt_out in opt_outs],
            [opt_out.scope for opt_out in opt_outs],
            [opt_out.received for opt_out in opt_outs],
        ]
        given = [2 * ROUNDED.total_seconds(), *columns, REPEAT, REPEAT]
        for place, near, times in run_autocommit(lambda c: c.execute(_RECORDED, given).fetchall()):
            if near == 0 or times > 1:
                opt_out = opt_outs[place]
                raise Violation(
                    f"I1: an opt-out of {opt_out.form.text} about {opt_out.scope} was spooled at"
                    f" {opt_out.received:%d %H:%M:%S.%f} and is recorded {times} times, {near} near"
                )
        people = {opt_out.form.person for opt_out in opt_outs}
        self.checks.touched([form for person in sorted(people) for form in forms_of(person)])
        self.checks.comparison.have_deadlines(people)

    # --- hosts

    @contextmanager
    def _on(self, host: int) -> Iterator[None]:
        """What is done meanwhile is done by a process of this host."""
        self.ground.app.extensions[recorder.EXTENSION_KEY] = self._spool_of(host)
        with self.ground.clock.of_host(self.entry_points.hosts[host]):
            yield

    def _spool_of(self, host: int) -> Spool:
        if host not in self._spools:
            folder = SpoolFolder(self.folder / f"spool-{host}", max_bytes=10**8)
            folder.ensure_exists()
            self._spools[host] = Spool(folder, SpoolWriter(folder))
        return self._spools[host]

    def _replayer(self) -> SpoolReplayer:
        return SpoolReplayer(self._spool_of(0), connections.track_outages())


def learn_recorded(oracle: Oracle, opt_out: OptOut, now: datetime) -> None:
    """The oracle knows of an opt-out that was spooled: it counts from its receipt (I1, I5).

    Only one that is replayed within seconds outranks the opt-ins that were recorded before.
    """
    opt_out.sure, opt_out.known = True, now
    opt_out.first, opt_out.received = min(opt_out.first, now), min(opt_out.received, now)
    opt_out.last = min(opt_out.last, now + ROUNDED)
    opt_out.own = now - opt_out.received <= REPEAT
    if opt_out.own:
        opt_ins = [opt_in.at for opt_in in oracle.opt_ins[opt_out.form]]
        opt_out.last = max([opt_out.last, *opt_ins])


def _make_key() -> str:
    return run_in_transaction(
        lambda c: create_api_key(c, "shop", {KeyScope.CHECK}, ["*"], "operator", permissions=None)
    )


def _allow_connections(url: str, *, allow: bool) -> None:
    """Let PostgreSQL take connections to this database, or refuse them and end those there are."""
    name = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    with psycopg.connect(with_database(url, "postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
                sql.Identifier(name), sql.Literal(allow)
            )
        )
        until = time.monotonic() + PATIENCE
        while (
            not allow
            and connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            ).fetchall()
        ):
            if time.monotonic() > until:
                raise TimeoutError("sessions of the simulation do not end")
