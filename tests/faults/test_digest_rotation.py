"""`flask keys rotate digests` is killed or frozen at each of its steps, amid clicks and decisions.

At no time does a decision allow anyone whose opt-out was answered with 200 before (I2), and nothing
that was acknowledged is missing in the end (I1).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from dev.processes import wait_until
from preference_center.app.web import create_app
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import EventKind
from preference_center.infra.context import db
from preference_center.infra.db.connections import COMMAND_TIMEOUTS
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger import record
from tests.faults.asking import Asking
from tests.faults.gate import Gate, Stop
from tests.faults.service import PATIENCE, Process, Service, change
from tests.faults.test_spool import waiting
from tests.faults.test_web import lost
from tests.infra.keys.processes import two_keys

KNOWN = 1_100
"""More than two chunks of addresses; those of even numbers have opted out."""
_COMMIT = b"COMMIT"
_CHUNK = b"UPDATE address a SET next_digest"
_SWAPPED = b"DELETE FROM key_fingerprint"
_CLEARED = b"UPDATE address SET previous_digest = NULL"
STEPS = (
    Stop("before the announcement", (b"next_digest:d2",), executed=False),
    Stop("after the announcement", (b"next_digest:d2", _COMMIT)),
    Stop("adding columns", (b"ADD COLUMN next_digest",)),
    Stop("creating triggers", (b"TRIGGER void_next_digests AFTER INSERT ON address_key",)),
    Stop("building indexes", (b"CONCURRENTLY next_address_digest",)),
    Stop("in the first chunk", (_CHUNK,)),
    Stop("after the first chunk", (_CHUNK, _COMMIT)),
    Stop("in the second chunk", (_CHUNK,)),
    Stop("after the second chunk", (_CHUNK, _COMMIT)),
    Stop("in the third chunk", (_CHUNK,)),
    Stop("before the swap", (b"LOCK TABLE key_fingerprint IN ACCESS EXCLUSIVE",), executed=False),
    Stop("in the swap", (b"RENAME digest TO previous_digest",)),
    Stop("at the end of the swap", (_SWAPPED,)),
    Stop("after the swap", (_SWAPPED, _COMMIT)),
    Stop("validating", (b"VALIDATE CONSTRAINT",), executed=False),
    Stop("requiring digests", (b"ALTER COLUMN digest SET NOT NULL",)),
    Stop("clearing", (_CLEARED,)),
    Stop("after the first clearing", (_CLEARED, _COMMIT)),
    Stop("dropping external ids", (b"contact_external_id DROP COLUMN", _COMMIT)),
    Stop("before the end", (b"EXISTS previous_domain_digest",), executed=False),
    Stop("at the end", (b"digest_keys.rotated",), executed=False),
)


def known(number: int) -> str:
    """Known before; `Load` clicks for the first of them, too."""
    return f"person-{number % 2}-{number // 2}@example.com"


@dataclass(slots=True)
class Rotations:
    """Runs of the command, each by a gate of its own."""

    service: Service
    folder: Path
    runs: list[Process] = field(default_factory=list)

    def start(self, url: str) -> Process:
        self.runs.append(self.service.run("keys", "rotate", "digests", DATABASE_URL=url))
        return self.runs[-1]


def is_held(gate: Gate, run: Process) -> bool:
    """Whether it comes to the stop, and does not end before."""
    wait_until(lambda: gate.reached.is_set() or not run.alive, PATIENCE)
    return gate.reached.is_set()


def reach(gate: Gate, stop: Stop, run: Process) -> None:
    assert is_held(gate, run), (stop.name, run.log.read_text())


def ended(run: Process) -> None:
    assert run.popen.wait(PATIENCE) == 0, run.log.read_text()


@pytest.fixture
def rotating(service: Service, tmp_path: Path) -> Service:
    """A web process with the next key, and people whose digests are of the first one."""
    people = [parse_address(known(number), Channel.EMAIL) for number in range(KNOWN)]
    with service.app.app_context():
        require_known_keys()
        out = [change(known(number), EventKind.OPTED_OUT) for number in range(0, KNOWN, 2)]
        record(out, known_addresses=people)
        db.engine.dispose()
    keys = two_keys(service.settings)
    given = {"digest_keys": keys, "spool_dir": str(tmp_path / "spool")}
    service.settings = service.settings.model_copy(update=given)
    service.app = create_app(service.settings, timeouts=COMMAND_TIMEOUTS)
    service.forks = True  # there is one for each step
    service.start("web")
    return service


@pytest.fixture
def asking(rotating: Service) -> Iterator[Asking]:
    """Clicks and questions; in the end everything that was acknowledged is there."""
    asking = Asking(rotating, opted_out=[known(number) for number in range(0, KNOWN, 2)])
    with asking:
        asking.await_service()
        yield asking
        asking.await_service()
    assert wait_until(lambda: waiting(Path(rotating.settings.spool_dir)) == 0, PATIENCE)
    assert (asking.allowed, asking.denied) == (set(), set())
    assert set(asking.counts) <= {200, 202, 503}
    with rotating.app.app_context():
        run_in_transaction(lambda _: None)  # so that it knows which key is in use
    assert lost(rotating, asking) == []
    assert '"unexpected"' not in rotating.logs()


@pytest.fixture
def rotations(asking: Asking, tmp_path: Path) -> Iterator[Rotations]:
    rotations = Rotations(asking.service, tmp_path)
    yield rotations
    for run in rotations.runs:
        run.end()


def test_killed_at_every_step_it_is_ended_by_the_next(
    rotations: Rotations, asking: Asking
) -> None:  # I1, I2
    for stop in STEPS:
        with Gate(rotations.service.settings.database_url) as gate:
            gate.stop_at(stop)
            run = rotations.start(gate.url)
            reach(gate, stop, run)
            run.signal(signal.SIGKILL)
            run.popen.wait()
        asking.await_progress()
    ended(rotations.start(rotations.service.settings.database_url))
    assert_rotated(rotations.service)


def test_frozen_at_every_step_it_goes_on(rotations: Rotations, asking: Asking) -> None:  # I1, I2
    with Gate(rotations.service.settings.database_url) as gate:
        gate.stop_at(STEPS[0])
        run = rotations.start(gate.url)
        for stop, following in pairwise((*STEPS, None)):
            assert stop
            if not is_held(gate, run):  # frozen for so long that it lost its connection
                gate.stop_at(stop)
                run = rotations.start(gate.url)
                reach(gate, stop, run)
            run.signal(signal.SIGSTOP)
            asking.await_progress()
            if following:
                gate.stop_at(following)
            else:
                gate.let_go()
            run.signal(signal.SIGCONT)
        if run.popen.wait(PATIENCE):
            ended(rotations.start(rotations.service.settings.database_url))
    assert_rotated(rotations.service)


@pytest.mark.parametrize("step", ["in the first chunk", "at the end of the swap"])
def test_one_that_never_thaws_keeps_nobody_waiting_for_long(
    rotations: Rotations, asking: Asking, step: str
) -> None:  # I2: it holds rows, or all tables
    (stop,) = (each for each in STEPS if each.name == step)
    token = rotations.service.token(known(1))
    with Gate(rotations.service.settings.database_url) as gate:
        gate.stop_at(stop)
        run = rotations.start(gate.url)
        reach(gate, stop, run)
        run.signal(signal.SIGSTOP)
        gate.let_go()
        assert rotations.service.post(token).status_code == 202
        assert wait_until(lambda: rotations.service.post(token).status_code == 200, PATIENCE)
        asking.await_service()
        run.end()
    ended(rotations.start(rotations.service.settings.database_url))
    assert_rotated(rotations.service)


def assert_rotated(service: Service) -> None:
    """The next key is in use, and no column of the rotation is left."""
    keys = "SELECT key FROM key_fingerprint WHERE key LIKE '%digest:%' ORDER BY key"
    assert service.rows(keys) == [("digest:d1",), ("digest:d2",)]
    columns = "SELECT FROM pg_attribute WHERE attname ~ '^(next|previous)_' AND NOT attisdropped"
    assert service.rows(f"{columns} AND attrelid = 'address'::regclass") == []
