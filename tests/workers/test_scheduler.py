"""What the scheduler does besides waking workers."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from preference_center.core.staff import Role
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.store import destinations, listings, webhooks
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.job_queue import (
    APPLY_RETENTION,
    ERASE,
    JOB_QUEUES,
    PROCESS_WEBHOOKS,
    rq_queue,
)
from preference_center.monitoring.measure import Heartbeat
from preference_center.rights.requests.agents import ask_for_principal
from preference_center.rights.rules.identity import ProofFile, ProofKind
from preference_center.rights.rules.new_request import Agent
from preference_center.rights.rules.requests import RequestVia
from preference_center.web.api import idempotency
from preference_center.web.console.accounts import RETENTION, SESSION_LIFETIME
from tests.destinations.two_way_tool import add_destination
from tests.rights.asking import new, rows
from tests.web.console.staff import staff
from workers import jobs as worker_jobs
from workers import scheduler
from workers.process import stop_requested

if TYPE_CHECKING:
    from flask import Flask

    from tests.clock import Clock


def _insert_webhook(number: int, clock: Clock) -> None:
    context, new_id = services(), services().new_id()
    run_in_transaction(
        lambda c: webhooks.insert_webhook(c, context.keys, new_id, number, new_id.bytes, clock())
    )


def test_answers_kept_for_repeats_go_after_a_day(app: Flask, clock: Clock) -> None:
    with app.app_context():
        run_in_transaction(lambda c: idempotency.insert_response(c, b"old", b"sealed", clock()))
        clock.advance(timedelta(hours=23))
        run_in_transaction(lambda c: idempotency.insert_response(c, b"new", b"sealed", clock()))
        scheduler.purge_expired(clock())
        assert (
            run_in_transaction(lambda c: idempotency.find_response(c, b"old", clock())) == b"sealed"
        )
        clock.advance(timedelta(hours=1))
        scheduler.purge_expired(clock())
        left = run_in_transaction(
            lambda c: c.execute("SELECT digest FROM idempotent_response").fetchall()
        )
    assert left == [(b"new",)]


def test_sessions_of_staff_go_a_day_after_they_expired(app: Flask, clock: Clock) -> None:
    staff(app, Role.SUPPORT)
    with app.app_context():
        scheduler.purge_expired(clock.advance(SESSION_LIFETIME + RETENTION))
        assert rows("SELECT count(*) FROM staff_session") == [(1,)]
        scheduler.purge_expired(clock.advance(timedelta(seconds=1)))
        assert rows("SELECT count(*) FROM staff_session") == [(0,)]


def test_proofs_of_agents_go_after_90_days(app: Flask, clock: Clock) -> None:
    file = ProofFile(b"%PDF-1.7", "application/pdf", ProofKind.HEIR)
    agent = Agent("Heir", "heir@example.com")
    with app.app_context():
        ask_for_principal(new(via=RequestVia.AGENT, agent=agent), [file])
        for days, left in ((89, 1), (1, 0)):
            scheduler.purge_expired(clock.advance(timedelta(days=days)))
            assert rows("SELECT count(*) FROM rights_proof") == [(left,)]


def test_the_process_tidies_counts_and_looks_for_bursts_besides(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = iter([False, True])
    monkeypatch.setattr(scheduler, "create_service", lambda **_: app)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(stop_requested, "wait", lambda _: next(turns))
    with app.app_context():
        run_in_transaction(lambda c: idempotency.insert_response(c, b"old", b"sealed", clock()))
        clock.advance(timedelta(hours=24))
        scheduler.main()
        left = run_in_transaction(
            lambda c: c.execute("SELECT digest FROM idempotent_response").fetchall()
        )
        looked = run_in_transaction(
            lambda c: c.execute("SELECT scanned_until FROM burst_scan").fetchall()
        )
        counted = run_in_transaction(
            lambda c: c.execute("SELECT counted_until FROM daily_count_progress").fetchall()
        )
    assert (left, looked, counted) == ([], [(clock(),)], [(clock(),)])


def _turns(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    turns = iter([*[False] * count, True])
    monkeypatch.setattr(stop_requested, "wait", lambda _: next(turns))


def test_no_tick_counts_before_one_is_complete_and_an_error_ends_no_process(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # I3
    _turns(monkeypatch, 2)
    quotes: dict[str, int] = {}
    monkeypatch.setattr(scheduler, "_tick_mail", lambda _: quotes["jane@example.com"])
    heartbeat = Heartbeat(clock())
    with app.app_context():
        scheduler.tick_until_stopped(heartbeat)
    assert heartbeat.ticked_at is None
    logged = capsys.readouterr().err
    assert logged.count('"event": "tick_failed"') == 2
    assert "KeyError" in logged
    assert "jane" not in logged  # I12


def test_a_part_of_a_tick_that_fails_stops_no_other_and_no_housekeeping(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:  # I3
    _turns(monkeypatch, 1)
    monkeypatch.setattr(scheduler, "raise_deferred_states", lambda: 1 / 0)
    monkeypatch.setattr(scheduler, "_tick_mail", lambda _: 1 / 0)
    heartbeat = Heartbeat(clock())
    with app.app_context():
        number = add_destination("mailer")
        scheduler.tick_until_stopped(heartbeat)
        due = run_in_transaction(lambda c: listings.list_due_listings(c, clock()))
    assert {destination for destination, _ in due} == {number}
    assert heartbeat == Heartbeat(clock(), ticked_at=None, housekept_at=clock())


def test_a_deletion_that_fails_stops_no_other(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(destinations, "purge_pushes", lambda *_: 1 / 0)
    monkeypatch.setattr(scheduler, "tidy_erasures", lambda _: next(iter(())))
    heartbeat = Heartbeat(clock())
    with app.app_context():
        run_in_transaction(lambda c: idempotency.insert_response(c, b"old", b"sealed", clock()))
        clock.advance(timedelta(hours=24))
        scheduler.keep_house(heartbeat)
        assert rows("SELECT count(*) FROM idempotent_response") == [(0,)]
        with Redis.from_url(services().settings.redis_url) as redis:
            assert rq_queue(redis, JOB_QUEUES[APPLY_RETENTION]).jobs
    assert heartbeat.housekept_at is None
    logged = capsys.readouterr().err
    assert logged.count('"event": "housekeeping_failed"') == 2
    assert "ZeroDivisionError" in logged
    assert "StopIteration" in logged


def test_a_part_of_the_housekeeping_that_fails_stops_no_other(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _turns(monkeypatch, 1)
    monkeypatch.setattr(scheduler, "run_clocks", lambda _: 1 / 0)
    heartbeat = Heartbeat(clock())
    tidied: list[datetime] = []
    monkeypatch.setattr(scheduler, "purge_expired", tidied.append)
    with app.app_context():
        scheduler.tick_until_stopped(heartbeat)
    assert tidied == [clock()]
    assert (heartbeat.ticked_at, heartbeat.housekept_at) == (clock(), None)
    _turns(monkeypatch, 1)
    monkeypatch.setattr(scheduler, "run_clocks", id)
    with app.app_context():
        scheduler.tick_until_stopped(heartbeat)
    assert heartbeat.housekept_at == clock()


def test_a_tool_whose_integration_cannot_be_loaded_holds_up_no_other(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # I3
    monkeypatch.setitem(sys.modules, "preference_center.integrations.ses.connector", None)
    with app.app_context():
        add_destination("broken", kind="ses")
        add_destination("removed", kind="pigeon")
        whole = add_destination("whole", kind="sendgrid")
        scheduler.tick()
        due = run_in_transaction(lambda c: listings.list_due_listings(c, clock()))
    assert {number for number, _ in due} == {whole}
    logged = capsys.readouterr().err
    for kind in ("ses", "pigeon"):
        assert f'"kind": "{kind}", "event": "integration_not_loaded"' in logged


def test_a_backlog_of_what_one_tool_posted_is_taken_in_by_several(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "WEBHOOKS_PER_SLOT", 2)
    with app.app_context():
        busy, quiet = add_destination("busy"), add_destination("quiet")
        for number in (busy, busy, busy, busy, busy, quiet):
            _insert_webhook(number, clock)
        assert run_in_transaction(lambda c: webhooks.count_due_webhooks(c, clock())) == {
            busy: 5,
            quiet: 1,
        }
        scheduler.tick()
        with Redis.from_url(services().settings.redis_url) as redis:
            jobs = rq_queue(redis, JOB_QUEUES[PROCESS_WEBHOOKS]).get_jobs()
            args = sorted(job.args[0] for job in jobs if job.func_name == PROCESS_WEBHOOKS)
    assert args == [busy] * 3 + [quiet]


def test_due_erasures_of_active_destinations_are_enqueued_and_others_are_a_persons(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[int] = []
    with app.app_context():
        active = add_destination("active")
        paused = add_destination("paused", status=DestinationStatus.PAUSED)
        later = add_destination("later")
        due = {active: clock(), paused: clock(), later: clock() + timedelta(hours=1)}
        for number, at in due.items():
            run_in_transaction(
                lambda c, number=number, at=at: c.execute(  # type: ignore[misc]
                    """INSERT INTO erasure_task (erasure_id, destination_id, destination, next_at)
                    VALUES (gen_random_uuid(), %s, '', %s)""",
                    (number, at),
                )
            )

        def enqueue_erase(number: int) -> bool:
            jobs.append(number)
            return True

        monkeypatch.setattr(services().queue, "enqueue_erase", enqueue_erase)
        scheduler.tick()
        by_hand = run_in_transaction(
            lambda c: c.execute(
                "SELECT destination_id FROM erasure_task WHERE by_hand_since IS NOT NULL"
            ).fetchall()
        )
    assert jobs == [active]
    assert by_hand == [(paused,)]


def test_a_job_that_erases_is_run(app: Flask, redis_url: str) -> None:
    with app.app_context():
        assert services().queue.enqueue_erase(7)
        (job,) = rq_queue(Redis.from_url(redis_url), JOB_QUEUES[ERASE]).jobs
        assert (job.func, job.args) == (worker_jobs.erase, [7])
        worker_jobs.erase(7)  # there is no such destination any more


def test_retention_is_a_job_until_its_runs_are_over(app: Flask, clock: Clock) -> None:
    """Else what it reads would hold up pushes."""
    with app.app_context():
        scheduler.purge_expired(clock())
        with Redis.from_url(services().settings.redis_url) as redis:
            queued = rq_queue(redis, JOB_QUEUES[APPLY_RETENTION])
            assert [job.func_name for job in queued.jobs] == [APPLY_RETENTION]
            assert not rows("SELECT FROM retention_run")
            worker_jobs.apply_retention()
            assert rows("SELECT finished_at IS NULL FROM retention_run") == [(False,)]
            for job in queued.jobs:
                queued.remove(job)
            scheduler.purge_expired(clock())
            assert not queued.jobs
