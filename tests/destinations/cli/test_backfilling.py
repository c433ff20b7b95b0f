"""An interrupted backfill reports its progress, and is continued automatically."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Never

import pytest
from redis import Redis

from preference_center.core.errors import Unavailable
from preference_center.core.events import EventKind
from preference_center.destinations.store import backfills
from preference_center.destinations.store.backfills import Backfill
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.job_queue import BACKFILL, JOB_QUEUES, rq_queue
from tests.destinations.commands import add_hook, flask, ready_to_connect, say
from tests.integrations.tools.receiver import Receiver
from workers import jobs, scheduler

if TYPE_CHECKING:
    from flask import Flask

PEOPLE = 4


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    return ready_to_connect(app, monkeypatch)


def cut_off(*_: object) -> Never:
    raise Unavailable("the database can't be reached")


@pytest.fixture
def cut_short(app: Flask, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """`destinations add` ends after the first transaction of the backfill."""
    for number in range(PEOPLE):
        say(app, EventKind.OPTED_OUT, f"person-{number}@example.com")
    with monkeypatch.context() as patch:
        patch.setattr(backfills, "_INITIAL_SIZE", 1)
        patch.setattr(backfills, "_next_size", cut_off)
        assert add_hook(app, receiver).exit_code == 1


@pytest.mark.usefixtures("cut_short")
def test_it_is_seen_and_the_scheduler_has_it_done(app: Flask) -> None:  # I3
    progress = r"\d+% of the addresses processed, 1 to push so far; workers continue it"
    assert re.search(f"backfill: {progress}", flask(app, "destinations", "list").output)
    assert re.search(f"backfill\t{progress}", flask(app, "destinations", "show", "shop").output)
    with app.app_context():
        scheduler.tick()
        with Redis.from_url(services().settings.redis_url) as redis:
            waiting = rq_queue(redis, JOB_QUEUES[BACKFILL]).get_jobs()
        for job in waiting:
            if job.func_name == BACKFILL:
                jobs.backfill(*job.args)
        assert run_in_transaction(backfills.list_unfinished) == {}
    listed = flask(app, "destinations", "list").output
    assert f"shop\twebhook\tobserve\t{PEOPLE} pending\t" in listed
    assert "backfill" not in listed


@pytest.mark.usefixtures("cut_short")
def test_resuming_the_destination_does_what_is_left_first(app: Flask) -> None:  # I3
    resumed = flask(app, "destinations", "resume", "shop")
    assert resumed.exit_code == 0, resumed.output
    assert f"{PEOPLE} addresses are pending" in resumed.output


def test_a_long_one_reports_its_progress(capsys: pytest.CaptureFixture[str]) -> None:
    from preference_center.destinations.cli.status import progress_printer

    show = progress_printer()
    for reached in range(0, 101, 2):
        show(Backfill(reached, 100, reached, finished=reached == 100))
    lines = capsys.readouterr().err.splitlines()
    assert (lines[0], lines[-1]) == ("backfill: 6%, 6 addresses", "backfill: 96%, 96 addresses")
    assert len(lines) == 19
