"""A worker is killed while a tool is made to erase a person (GDPR art. 19; I6)."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta

from dev.processes import wait_until
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.addresses import Channel, parse_address
from preference_center.destinations.connect import LEASE_DURATION
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.erasure.erase import erase_contacts
from preference_center.rights.rules.requests import Extent
from tests.faults.service import PATIENCE, TOPIC, Service
from tests.faults.tool import SlowReceiver

JANE = "jane@example.com"
OUTCOMES = "SELECT outcome FROM erasure_task"


def erase(service: Service) -> None:
    ref = ContactRef(address=parse_address(JANE, Channel.EMAIL))
    with service.app.app_context():
        origin = RequestOrigin("test", "test", datetime.now(UTC))
        erase_contacts([ref], Extent.ACCOUNT, origin=origin)


def test_an_erasure_is_finished_by_another_worker_and_after_the_opt_out(
    service: Service, tool: SlowReceiver
) -> None:
    tool.persons.add(JANE)
    tool.holds = lambda items: "off" not in items[0]
    service.start("scheduler")
    worker = service.start("worker")
    service.opt_in(JANE)
    erase(service)
    assert tool.holding.wait(PATIENCE), service.logs()
    assert tool.off == {JANE: {TOPIC}}, "the opt-out went first"
    worker.signal(signal.SIGKILL)
    assert service.rows(OUTCOMES) == [("",)]

    service.start("worker")
    service.shift(LEASE_DURATION + timedelta(seconds=1))
    tool.holds = lambda _: False
    assert wait_until(lambda: service.rows(OUTCOMES) == [("erased",)], PATIENCE), service.logs()
    assert tool.persons == set()
    tool.let_go()  # the dead worker's request acts last
    assert wait_until(lambda: len(tool.payloads) == 3, PATIENCE)
    assert [payload["type"] for payload in tool.payloads] == [
        "preferences.changed",
        "contact.erased",
        "contact.erased",
    ]
    assert len(set(tool.ids[1:])) == 1, "the receiver can tell that it is the same"
