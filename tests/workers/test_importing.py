from __future__ import annotations

from uuid import UUID

import pytest
from redis import Redis

from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.imports import Instructions, Only, scope_map
from preference_center.extensions import services
from preference_center.imports.uploads import receive
from preference_center.integrations.import_presets import preset
from preference_center.queue import rq_queue
from preference_center.storage.db.database import run
from preference_center.storage.imports import import_jobs
from preference_center.storage.imports.import_jobs import State
from workers import jobs, scheduler

pytestmark = pytest.mark.usefixtures("in_context")


def uploaded() -> UUID:
    scopes = scope_map([("list", ALL_MARKETING)])
    instructions = Instructions(preset("addresses"), scopes, only=Only.OPT_OUTS)
    import_id, now = services().new_id(), services().now()
    run(
        lambda c: import_jobs.add(
            c,
            import_id,
            state=State.AWAITING_FILE,
            actor="key:crm",
            name="",
            instructions=instructions.to_json(),
            now=now,
        )
    )
    receive(import_id, [b"ada@example.com\ngrace@example.com\n"])
    return import_id


def state_of(import_id: UUID) -> State:
    return run(lambda c: import_jobs.by_id(c, import_id)).state


def test_an_upload_survives_a_flush_of_redis(redis_url: str) -> None:
    # The database is the queue: the job names the import and nothing else (I12).
    import_id = uploaded()
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
        scheduler.tick()
        (job,) = rq_queue(redis, "lists").jobs
        assert (job.func_name, list(job.args)) == ("workers.jobs.go_on_importing", [str(import_id)])


def test_a_job_plans_and_applies_what_is_decided() -> None:
    import_id = uploaded()
    jobs.go_on_importing(str(import_id))
    assert state_of(import_id) is State.PLANNED
    jobs.go_on_importing(str(import_id))
    assert state_of(import_id) is State.PLANNED  # nobody said yes

    run(lambda c: import_jobs.move(c, import_id, {State.PLANNED}, State.APPLYING, services().now()))
    jobs.go_on_importing(str(import_id))
    assert state_of(import_id) is State.APPLIED
    assert run(lambda c: c.execute("SELECT count(*) FROM suppression").fetchone()) == (2,)
