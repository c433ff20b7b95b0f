"""What is an outage, so that decisions fail at once and opt-outs are spooled, and what is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from preference_center.core.errors import Unavailable, UnavailableCause
from preference_center.infra.context import EXTENSION_NAME
from preference_center.infra.db import connections
from preference_center.infra.db.connections import WEB_TIMEOUTS, DatabaseTimeouts, Outage
from preference_center.infra.db.transactions import override_limits, run_in_transaction
from preference_center.ledger.spool import recorder, replayer
from tests.environment import patient_timeouts

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask


@pytest.fixture
def outage(app: Flask, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outage]:
    """That of a process whose thread never gets to end it."""
    wired = app.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"spool_dir": str(folder)})
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(wired, settings=settings))
    monkeypatch.setattr(replayer, "CHECK_LIMITS", patient_timeouts())
    monkeypatch.setattr(replayer, "replay_periodically", lambda *_: None)
    replayer.start_spool(app)
    with app.app_context():
        yield connections.track_outages()
    for name in (recorder.EXTENSION_KEY, connections.EXTENSION_NAME):
        app.extensions.pop(name)


def fail_slowly(limits: DatabaseTimeouts) -> UnavailableCause:
    """Why a statement of a minute ended early, once the check that follows is over."""
    with override_limits(limits), pytest.raises(Unavailable) as error:
        run_in_transaction(lambda connection: connection.execute("SELECT pg_sleep(60)"))
    connections.report_failure(error.value.cause)  # as for an opt-out that is spooled
    for thread in threading.enumerate():
        if thread.name == connections.CHECK_THREAD:
            thread.join()
    return error.value.cause


SLOW = {
    UnavailableCause.UNRESPONSIVE: replace(WEB_TIMEOUTS, total=0.5, round_trip=0.5),
    UnavailableCause.STATEMENT_TIMEOUT: replace(WEB_TIMEOUTS, statement=0.5, retry=0),
}


@pytest.mark.parametrize("cause", SLOW)
def test_a_slow_statement_is_no_outage(outage: Outage, cause: UnavailableCause) -> None:  # I2
    assert fail_slowly(SLOW[cause]) is cause
    assert not outage.down.is_set()


@pytest.mark.parametrize("cause", SLOW)
def test_a_slow_statement_of_a_database_that_answers_nothing_is_one(
    outage: Outage, cause: UnavailableCause
) -> None:  # I1, I2
    def fail() -> None:
        raise Unavailable("no answer", UnavailableCause.UNREACHABLE)

    outage.check = fail
    assert fail_slowly(SLOW[cause]) is cause
    assert outage.down.is_set()
    assert outage.cause is UnavailableCause.UNREACHABLE
