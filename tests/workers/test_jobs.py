"""Jobs where the database is away."""

from __future__ import annotations

import pytest

from preference_center.app.web import create_app
from tests.environment import settings_for
from workers import jobs

NOWHERE = "127.0.0.1:1"


def test_a_job_ends_without_a_traceback_while_the_database_is_away(
    capfd: pytest.CaptureFixture[str],
) -> None:  # I3: what is due stays due, and the scheduler asks again
    app = create_app(settings_for(f"postgresql://no:one@{NOWHERE}/x", f"redis://{NOWHERE}/0"))
    with app.app_context():
        jobs.sync(1)
        jobs.verify(1, "pull")
        jobs.process_webhooks(1)
        jobs.erase(1)
    reported = "".join(capfd.readouterr())
    assert reported.count("job_ended_early") == 4
    assert "Traceback" not in reported
