"""A service in which nothing is wrong until an incident changes that, and what is looked at."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from preference_center.core.staff import Role
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.spool import SpoolFolder
from preference_center.monitoring.probes import INTERNAL
from tests.clock import Clock
from tests.contacts.console.people import open_person
from tests.ledger.changes import change
from tests.web.console.staff import staff, words

if TYPE_CHECKING:
    import pytest
    from flask import Flask

    from workers.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs/monitoring.md").read_text()
SOON = timedelta(minutes=16)
"""After it an opt-out has waited for too long."""
UP = 'up{job="preference-center",instance="web:8001"}'
TICK = "preference_center_scheduler_tick_timestamp_seconds"
HOUSEKEEPING = "preference_center_scheduler_housekeeping_timestamp_seconds"


@dataclass(slots=True)
class Scene:
    """It has a destination `crm`, workers and an empty spool, and informs nobody."""

    app: Flask
    clock: Clock
    patch: pytest.MonkeyPatch
    folder: Path
    spool: SpoolFolder
    worker: Worker
    at_the_end: ExitStack
    admin_url: str
    series: dict[str, str] = field(
        default_factory=lambda: {UP: "1x40", TICK: "0+60x40", HOUSEKEEPING: "0+60x40"}
    )
    """What no collector of this test exports, in the notation of promtool."""
    is_scheduled: bool = True
    housekept_at: datetime | None = None
    """None: now."""

    def wait(
        self, status: str, waited: timedelta, *, reason: str = "", retry: bool = False
    ) -> None:
        """An opt-out waits for a destination in this state."""
        record([change(1, at=self.clock())])
        self.execute(
            "UPDATE destination SET status = %s, reason = %s, retry_at = %s, failures = %s",
            status,
            reason,
            self.clock() + waited + timedelta(minutes=5) if retry else None,
            int(retry),
        )
        self.clock.advance(waited)

    def execute(self, statement: str, *values: object) -> None:
        run_in_transaction(lambda c: c.execute(statement.encode(), values))

    def use(self, **given: object) -> None:
        """Change settings."""
        settings = services().settings.model_copy(update=given)
        self.patch.setitem(
            self.app.extensions, EXTENSION_NAME, replace(services(), settings=settings)
        )

    def look_at(self, shown: str, **given: str) -> str:
        """What a command, a page of the console or a probe shows; `given` for its capitals."""
        for name, value in ({"NAME": "crm"} | given).items():
            shown = shown.replace(name, value)
        if shown == "/console/people":
            grace = staff(self.app, Role.SUPPORT)
            return words(grace.get(open_person(grace)))
        if shown.startswith("/console/"):
            response = staff(self.app, Role.COMPLIANCE, Role.SUPPORT).get(shown)
            assert response.status_code == 200
            return words(response)
        if shown.startswith("/"):
            return self.app.test_client().get(shown, environ_overrides={INTERNAL: True}).text
        program, *arguments = shown.split()
        assert program == "flask"
        result = self.app.test_cli_runner().invoke(args=arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert result.exit_code in {0, 1}, result.output
        return result.output
