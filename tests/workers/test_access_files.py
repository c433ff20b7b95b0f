"""Files of requests for access are built by workers, and deleted after a week."""

from __future__ import annotations

from flask import Flask
from redis import Redis

from preference_center.infra.context import services
from preference_center.infra.job_queue import BUILD_ACCESS_FILE, JOB_QUEUES, rq_queue
from preference_center.rights.access_file.build import file_expires_at
from preference_center.rights.requests.files import FILE_RETENTION
from preference_center.rights.requests.steps import load_request
from preference_center.rights.rules.requests import IdentityLevel, RequestState
from tests.clock import Clock
from tests.rights.access_file.people import ADA, GRACE, ask
from workers import jobs, scheduler


def test_an_open_request_gets_its_file(app: Flask, clock: Clock, redis_url: str) -> None:
    with app.app_context():
        request = ask(ADA)
        ask(GRACE, level=IdentityLevel.NONE)
        assert scheduler.tick() == 1
        (job,) = rq_queue(Redis.from_url(redis_url), JOB_QUEUES[BUILD_ACCESS_FILE]).jobs
        assert (job.func, job.args) == (jobs.build_access_file, [str(request.id)])  # I12
        jobs.build_access_file(str(request.id))
        assert load_request(request.id).state is RequestState.DONE
        assert file_expires_at(request) == clock.now + FILE_RETENTION
        assert scheduler.tick() == 0


def test_a_file_that_can_not_be_built_is_begun_every_two_minutes(
    app: Flask, clock: Clock, redis_url: str
) -> None:
    with app.app_context():
        ask(ADA)
        queue = rq_queue(Redis.from_url(redis_url), JOB_QUEUES[BUILD_ACCESS_FILE])
        scheduler.tick()
        queue.empty()  # type: ignore[no-untyped-call]  # RQ has no types; a worker took it and failed
        scheduler.tick()
        assert queue.count == 0


def test_a_file_is_deleted_when_it_expires(app: Flask, clock: Clock) -> None:
    with app.app_context():
        request = ask(ADA)
        jobs.build_access_file(str(request.id))
        clock.advance(FILE_RETENTION)
        scheduler.purge_expired(services().now())
        assert file_expires_at(request) is None
