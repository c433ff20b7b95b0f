"""The work that a request takes, to compare it with that of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    import pytest
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse


def work_of(
    ask: Callable[..., TestResponse], client: FlaskClient, address: str, patcher: pytest.MonkeyPatch
) -> tuple[TestResponse, list[str]]:
    """The answer to `ask(client, address)`, and every statement and look-up of a limit it took.

    Left out is what happens by the clock: the catalogue is read every two seconds,
    the queue woken every second.
    """
    import redis

    from preference_center.infra.job_queue import JobQueue

    steps: list[str] = []
    with patcher.context() as patch:
        for nudge in ("nudge_sync", "nudge_mail"):
            patch.setattr(JobQueue, nudge, lambda *_: None)
        for name in ("execute", "executemany"):
            real = getattr(psycopg.Cursor, name)

            def spy(self: Any, query: Any, *rest: Any, _real: Any = real, **more: Any) -> Any:
                if "catalogue_version" not in str(query):
                    steps.append(str(query))
                return _real(self, query, *rest, **more)

            patch.setattr(psycopg.Cursor, name, spy)
        command: Any = redis.Redis.execute_command

        def listen(self: Any, *args: Any, **more: Any) -> Any:
            if str(args[0]).startswith("EVAL"):  # the limiter
                steps.append(str(args[0]))
            return command(self, *args, **more)

        patch.setattr(redis.Redis, "execute_command", listen)
        answer = ask(client, address)
    return answer, steps
