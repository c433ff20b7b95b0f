"""The clock of one host is wrong, by seconds or by days; that of the database is right.

`libfaketime` (Debian: faketime) shows a process, and nobody else, another time.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest

from dev.engines import Engines
from dev.processes import wait_until
from preference_center.infra.files import ROOT
from tests.faults.service import PATIENCE, START, Service
from tests.faults.test_spool import waiting
from tests.faults.tool import SlowReceiver
from tests.web.api.sender import make_sender

JANE, PAUL = "jane@example.com", "paul@example.com"
MOMENT = timedelta(seconds=3)
"""Less than any of the clocks is wrong by; the database is on this host."""
LONG = timedelta(seconds=10)
WRONG = [
    pytest.param(timedelta(seconds=20), id="20 s ahead"),
    pytest.param(timedelta(seconds=-20), id="20 s behind"),
    pytest.param(timedelta(days=40), id="40 days ahead"),
    pytest.param(timedelta(days=-40), id="40 days behind"),
]


def received_at(service: Service) -> datetime:
    """When the last event was received."""
    at: datetime = service.rows("SELECT received_at FROM event ORDER BY seq DESC LIMIT 1")[0][0]
    return at


@contextmanager
def dating_by_the_database(service: Service) -> Iterator[None]:
    """The last event was received within, by the clock of this host."""
    begun = datetime.now(UTC)
    yield
    ended = datetime.now(UTC)
    assert begun - MOMENT < received_at(service) < ended + MOMENT


def window(service: Service) -> str:
    """Whether all is on time; unknown to a process for which the outage goes on."""
    found: str = httpx.get(f"{service.url}/healthz", timeout=20).json()["window"]
    return found


def is_allowed(service: Service, key: str, person: str) -> bool:
    """The decision. Each process notices for itself that an outage is over: 503 before."""
    body = {"message_type": "offers.weekly", "recipient": person}
    headers = {"Authorization": f"Bearer {key}"}
    answers = []

    def ask() -> bool:
        url = f"{service.url}/v1/decisions"
        answers.append(httpx.post(url, json=body, headers=headers, timeout=20))
        return answers[-1].status_code != 503

    assert wait_until(ask, PATIENCE)
    return bool(answers[-1].raise_for_status().json()["allow"])


@pytest.mark.parametrize("by", WRONG)
def test_an_opt_out_by_a_web_process_with_a_wrong_clock_ends_an_older_consent_and_no_newer(
    service: Service, own_engines: Engines, tmp_path: Path, by: timedelta
) -> None:  # I5
    folder = tmp_path / "spool"
    service.settings = service.settings.model_copy(update={"spool_dir": str(folder)})
    key = make_sender(service.app, scopes=["check"]).key
    tokens = [service.token(person) for person in (JANE, PAUL)]
    with service.wrong_clock(by):
        service.start("web")
    service.opt_in(JANE)
    with dating_by_the_database(service):
        service.click(tokens[0])
    assert not is_allowed(service, key, JANE)
    service.opt_in(JANE)
    assert is_allowed(service, key, JANE)

    service.opt_in(PAUL)
    own_engines.database.stop()
    began = datetime.now(UTC)
    assert wait_until(lambda: service.post(tokens[1]).status_code == 202, PATIENCE)
    spooled = datetime.now(UTC)
    own_engines.database.start()
    assert wait_until(lambda: waiting(folder) == 0, PATIENCE)
    assert began - MOMENT < received_at(service) < spooled + MOMENT
    assert not is_allowed(service, key, PAUL)
    assert wait_until(lambda: window(service) != "unknown", PATIENCE)  # by whichever is asked
    assert window(service) in {"on_time", "unknown"}
    assert '"event": "host_clock_differs"' in service.logs()


@pytest.mark.parametrize("by", WRONG)
def test_an_opt_out_on_the_page_of_a_web_process_with_a_wrong_clock_can_be_undone(
    service: Service, by: timedelta
) -> None:  # I5: the page offers it for half an hour, by the clock of the database
    key = make_sender(service.app, scopes=["check"]).key
    url = f"{service.url}/u/{service.token(JANE)}"
    with service.wrong_clock(by):
        service.start("web")
    service.opt_in(JANE)
    with httpx.Client(timeout=20, follow_redirects=True) as browser:
        with dating_by_the_database(service):
            page = browser.post(url, data={"confirm": "this"}).raise_for_status()
        assert not is_allowed(service, key, JANE)
        (offered,) = re.findall(r'name="undo" value="([^"]+)"', page.text)
        browser.post(url, data={"undo": unescape(offered)}).raise_for_status()
    assert is_allowed(service, key, JANE)


@pytest.mark.parametrize("by", WRONG)
def test_an_opt_out_by_a_command_with_a_wrong_clock_is_dated_by_the_database(
    service: Service, by: timedelta
) -> None:  # I5: one that is behind would date it before the consent that it ends
    service.opt_in(JANE)
    with dating_by_the_database(service), service.wrong_clock(by):
        subprocess.run(
            ["flask", "opt-out", "--via", "phone", "--as", "support"],
            cwd=ROOT,
            env=service.environ(),
            check=True,
            capture_output=True,
            input=JANE.encode(),
        )


@pytest.mark.parametrize("by", WRONG)
def test_workers_and_scheduler_with_a_wrong_clock_forget_no_push_and_raise_no_alarm(
    service: Service, tool: SlowReceiver, by: timedelta
) -> None:  # I3
    service.start("web")
    service.click(service.token(JANE))
    due = service.rows("SELECT due_at FROM sync_state")
    tool.holds = lambda _: True
    with service.wrong_clock(by):
        for name in ("worker", "scheduler"):
            service.start(name, shifts=False)
    assert tool.holding.wait(START), service.logs()
    assert service.rows("SELECT due_at FROM sync_state") == due
    assert window(service) == "on_time"
    tool.let_go()
    assert wait_until(lambda: service.pending() == 0, PATIENCE)
    assert JANE in tool.off
    (at,) = service.rows("SELECT at FROM delivery")[0]
    assert abs(datetime.now(UTC) - at) < LONG
