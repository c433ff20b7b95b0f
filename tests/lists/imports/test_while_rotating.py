"""Lists are imported and taken back while digests are brought to a new key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event, Semaphore, Thread
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Address
from preference_center.core.events import ALL_MARKETING
from preference_center.infra.context import db, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys import rotate_digests
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger import record
from preference_center.lists.imports.apply import ImportBudget, Throttle
from tests.in_force import put_in_force
from tests.infra.keys.processes import denied, process_with, restart, two_keys
from tests.lists.imports.importing import email, imported, instructions_for, listed, taken_back

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.infra.config import Settings

OPT_OUTS = instructions_for("addresses", ("list", ALL_MARKETING), only="opt-outs")
KNOWN, LENGTH, CHUNK = 200, 10, 4
ROTATED = 15
"""How many addresses a step brings over: more than a chunk adds, else the rotation never ends."""
PATIENCE = 60.0
"""Seconds that one side waits for the other at most."""


class Turns:
    """One step of the rotation, then one chunk of an import, then the next step."""

    def __init__(self) -> None:
        self._chunk, self._step, self.is_over = Semaphore(0), Semaphore(0), Event()
        self.chunks = 0
        """How many chunks were recorded between two steps."""

    def let_import(self, *_: object) -> None:
        """After a step of the rotation."""
        if not self.is_over.is_set():
            self._chunk.release()
            self._step.acquire(timeout=PATIENCE)

    def end(self) -> None:
        """Neither waits for the other any more."""
        self.is_over.set()
        self._chunk.release()
        self._step.release()

    def await_step(self) -> bool:
        """Before each chunk; False: it goes on."""
        self._step.release()
        if not self.is_over.is_set():
            self._chunk.acquire(timeout=PATIENCE)
            self.chunks += 1
        return False


@pytest.fixture
def one_key(app: Flask) -> Iterator[Settings]:
    """A database with a catalogue and some people, in use with one digest key."""
    put_in_force(app)
    with app.app_context():
        require_known_keys()
        record([], known_addresses=[email(f"person-{n}") for n in range(0, 2 * KNOWN, 2)])
        settings = services().settings
    restart(app)
    yield settings
    with app.app_context():
        db.engine.dispose()


@contextmanager
def importing(service: Flask, folder: Path, turns: Turns) -> Iterator[list[bool]]:
    """Meanwhile, a worker imports one list after another, and takes every second one back.

    It gives, of each list, whether it stays; half of its people are known.
    """
    lists, failures = list[bool](), list[BaseException]()
    work = ImportBudget(
        sleep=lambda _: None, throttle=Throttle(chunk_size=CHUNK), should_stop=turns.await_step
    )

    def work_on() -> None:
        try:
            with service.app_context():
                for number in count():
                    path = listed(folder / f"list-{number}", LENGTH, number * LENGTH)
                    import_id = imported(path, OPT_OUTS, work)
                    assert all(map(denied, people(number))), number
                    if number % 2:
                        taken_back(import_id, work)
                    lists.append(number % 2 == 0)
                    if turns.is_over.is_set():
                        return
        except BaseException as error:  # noqa: BLE001 - shown by the main thread
            failures.append(error)
            turns.end()

    thread = Thread(target=work_on, daemon=True)
    thread.start()
    try:
        yield lists
    finally:
        turns.end()
        thread.join(PATIENCE)
    assert failures == []


@pytest.mark.owner
def test_what_a_list_says_is_kept_and_taken_back_whole_at_every_step_of_a_rotation(
    app: Flask, one_key: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # I2, I5
    monkeypatch.setattr(rotate_digests, "CHUNK_SIZE", ROTATED)
    turns = Turns()
    with process_with(one_key, digest_keys=two_keys(one_key)) as service:
        with (
            importing(service, tmp_path, turns) as lists,
            process_with(one_key, digest_keys=two_keys(one_key)),
        ):
            rotate_digests.rotate_digests(turns.let_import, turns.let_import)
        assert turns.chunks > KNOWN / ROTATED
        assert {True, False} == set(lists)
        with service.app_context():
            assert not services().keys.is_digest_key_waiting
            for number, stays in enumerate(lists):
                assert [denied(who) for who in people(number)] == [stays] * LENGTH, number
            rows = run_in_transaction(
                lambda c: c.execute("SELECT ciphertext, digest FROM address").fetchall()
            )
            texts = [services().keys.open(sealed, context=digest) for sealed, digest in rows]
            assert len(texts) == len(set(texts))  # one row for each address


def people(number: int) -> list[Address]:
    return [email(f"person-{n}") for n in range(number * LENGTH, (number + 1) * LENGTH)]
