from __future__ import annotations

from uuid import UUID

import pytest
from redis import Redis

from preference_center.core.events import ALL_MARKETING
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.job_queue import rq_queue
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.integrations.registry import get_preset
from preference_center.lists.imports.uploads import receive_upload
from preference_center.lists.rules.instructions import ImportInstructions, build_scope_map
from preference_center.lists.store import ImportState, change_state, get_import, insert_import
from workers import jobs, scheduler

pytestmark = pytest.mark.usefixtures("in_context")


def uploaded() -> UUID:
    scopes = build_scope_map([("list", ALL_MARKETING)])
    instructions = ImportInstructions(
        get_preset("addresses"), scopes, meaning_filter=MeaningFilter.OPT_OUTS
    )
    import_id, now = services().new_id(), services().now()
    run_in_transaction(
        lambda c: insert_import(
            c,
            import_id,
            state=ImportState.AWAITING_FILE,
            actor="key:crm",
            name="",
            instructions=instructions.to_json(),
            now=now,
        )
    )
    receive_upload(import_id, [b"ada@example.com\ngrace@example.com\n"])
    return import_id


def state_of(import_id: UUID) -> ImportState:
    return run_in_transaction(lambda c: get_import(c, import_id)).state


def test_an_upload_survives_a_flush_of_redis(redis_url: str) -> None:
    # The database is the queue: the job names the import and nothing else (I12).
    import_id = uploaded()
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
        scheduler.tick()
        (job,) = rq_queue(redis, "lists").jobs
        assert (job.func_name, list(job.args)) == ("workers.jobs.continue_import", [str(import_id)])


def test_a_job_plans_and_applies_what_is_decided() -> None:
    import_id = uploaded()
    jobs.continue_import(str(import_id))
    assert state_of(import_id) is ImportState.PLANNED
    jobs.continue_import(str(import_id))
    assert state_of(import_id) is ImportState.PLANNED  # nobody confirmed it

    run_in_transaction(
        lambda c: change_state(
            c, import_id, {ImportState.PLANNED}, ImportState.APPLYING, services().now()
        )
    )
    jobs.continue_import(str(import_id))
    assert state_of(import_id) is ImportState.APPLIED
    assert run_in_transaction(
        lambda c: c.execute("SELECT count(*) FROM suppression").fetchone()
    ) == (2,)
