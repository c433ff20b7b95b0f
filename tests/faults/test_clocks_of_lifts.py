"""What ends an opt-out does so by the clock of the database, whatever that of the host shows (I5).

An undo is offered for half an hour, a form counts from when it was rendered, and a pause has an
end. On a host that is behind, an undo would be taken for ever and no pause would end; on one that
is ahead, pauses would end early and old forms would be newer than the opt-outs since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from dev.processes import wait_until
from preference_center.contacts.choices import UNSUBSCRIBE_PAGE, opt_out
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.deadlines import UNDO_PERIOD
from preference_center.core.events import Change, EventKind
from preference_center.core.links import FormPurpose
from preference_center.infra.context import services
from preference_center.ledger import record
from preference_center.web.pages.rendering import seal_for_link
from tests.faults.service import PATIENCE, START, TOPIC, Service
from tests.faults.test_clocks import is_allowed
from tests.faults.tool import SlowReceiver
from tests.recipients.pages.test_preferences import Form
from tests.web.api.sender import make_sender
from tests.web.pages.visits import proof

JANE, PAUL, ANN = "jane@example.com", "paul@example.com", "ann@example.com"
MINUTE = timedelta(minutes=1)
LONG_AGO = timedelta(days=2)
WRONG = [
    pytest.param(timedelta(hours=1), id="1 h ahead"),
    pytest.param(timedelta(hours=-1), id="1 h behind"),
    pytest.param(timedelta(days=40), id="40 days ahead"),
    pytest.param(timedelta(days=-40), id="40 days behind"),
]


def record_at(
    service: Service,
    person: str,
    kind: EventKind,
    at: datetime,
    until: datetime | None = None,
) -> None:
    """What somebody did about the topic at this time of the database."""
    address = parse_address(person, Channel.EMAIL)
    with service.app.app_context():
        record([Change(uuid4(), kind, address, TOPIC, at, at, "test", "test", until=until)])


@dataclass(slots=True)
class Visit:
    """Somebody who has proven the address opens the preference page at `url`."""

    url: str
    cookie: str = ""

    def open(self) -> Form:
        answer = httpx.get(self.url, timeout=20).raise_for_status()
        self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
        return Form.in_page(self.url, answer.text)

    def save(self, form: Form) -> None:
        headers = {"Cookie": self.cookie}
        answer = httpx.post(self.url, data=form.data(), headers=headers, timeout=20)
        assert answer.status_code == 303


def opted_out_before(service: Service, person: str, age: timedelta) -> tuple[str, str]:
    """The page of somebody who pressed its button so long ago, and its undo as sealed then."""
    pressed_at, token = datetime.now(UTC) - age, service.token(person)
    with service.app.app_context():
        link = services().links.read_token(token, pressed_at)
        press = opt_out(link, TOPIC, UNSUBSCRIBE_PAGE, pressed_at)
        record([press])
        data = {"id": str(uuid4()), "events": [str(press.id)], "all": False}
        undo = seal_for_link(FormPurpose.UNDO, token, data, pressed_at)
    return f"{service.url}/u/{token}", undo


def offers_undo(url: str) -> bool:
    return 'name="undo"' in httpx.get(url, timeout=20).raise_for_status().text


def press_undo(url: str, undo: str) -> None:
    assert httpx.post(url, data={"undo": undo}, timeout=20).status_code == 303


@pytest.mark.parametrize("by", WRONG)
def test_an_undo_is_taken_for_half_an_hour(service: Service, by: timedelta) -> None:  # I5
    key = make_sender(service.app, scopes=["check"]).key
    early, late = (
        opted_out_before(service, person, age)
        for person, age in ((JANE, UNDO_PERIOD - 10 * MINUTE), (PAUL, UNDO_PERIOD + MINUTE))
    )
    with service.wrong_clock(by):
        service.start("web")
    assert offers_undo(early[0])
    assert not offers_undo(late[0])
    press_undo(*early)
    press_undo(*late)
    assert is_allowed(service, key, JANE)
    assert not is_allowed(service, key, PAUL)


@pytest.mark.parametrize("by", WRONG)
def test_an_opt_in_counts_from_when_its_form_was_rendered_and_a_pause_from_now(
    service: Service, by: timedelta
) -> None:  # I5
    key = make_sender(service.app, scopes=["check"]).key
    now = datetime.now(UTC)
    record_at(service, JANE, EventKind.OPTED_OUT, now - LONG_AGO)
    jane = Visit(f"{service.url}/p/{proof(service.app, now, JANE)}")
    with service.wrong_clock(by):
        service.start("web")

    def opened() -> Form:
        form = jane.open()
        form.ticks.add(TOPIC)
        return form

    jane.save(opened())
    assert is_allowed(service, key, JANE)
    record_at(service, JANE, EventKind.OPTED_OUT, datetime.now(UTC))
    stale = opened()
    record_at(service, JANE, EventKind.OPTED_OUT, datetime.now(UTC))
    jane.save(stale)
    assert not is_allowed(service, key, JANE)

    paul = Visit(f"{service.url}/p/{proof(service.app, now, PAUL)}")
    form = paul.open()
    form.pauses = {TOPIC: "30"}
    paul.save(form)
    (until,) = service.rows("SELECT until FROM event WHERE kind = 'paused'")[0]
    assert abs(until - datetime.now(UTC) - timedelta(days=30)) <= timedelta(days=1)


@pytest.mark.parametrize("by", WRONG)
def test_a_pause_ends_when_it_ends(
    service: Service, tool: SlowReceiver, by: timedelta
) -> None:  # I2, I5
    key = make_sender(service.app, scopes=["check"]).key
    now = datetime.now(UTC)
    record_at(service, JANE, EventKind.PAUSED, now - LONG_AGO, until=now - MINUTE)
    record_at(service, PAUL, EventKind.PAUSED, now - LONG_AGO, until=now + 30 * MINUTE)
    with service.wrong_clock(by):
        service.start("web")
        for name in ("worker", "scheduler"):
            service.start(name, shifts=False)
    assert is_allowed(service, key, JANE)
    assert not is_allowed(service, key, PAUL)
    assert wait_until(lambda: PAUL in tool.off, START), service.logs()
    service.click(service.token(ANN))
    assert wait_until(lambda: ANN in tool.off, PATIENCE)
    assert PAUL in tool.off
    assert JANE not in tool.off
