"""Causes of incidents of a tool, and of what it reports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from unittest.mock import Mock

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.deadlines import TARGET
from preference_center.destinations import process
from preference_center.destinations.store.destinations import find_by_name
from preference_center.destinations.store.listings import ListingKind
from preference_center.destinations.store.samples import MIN_NEWEST
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.vendor_events import WebhookSource
from preference_center.ledger import record
from tests.destinations.ingest.steps import ingest_stored, post
from tests.destinations.steps import read, refuse, work
from tests.destinations.two_way_tool import TwoWayTool
from tests.ledger.changes import change
from tests.monitoring.scene import SOON, Scene


def rate_limit(scene: Scene) -> None:
    scene.wait("active", SOON, reason="crm: POST /v1: HTTP 429", retry=True)
    scene.execute(
        "UPDATE destination SET trouble = 'slowed', trouble_since = %s", scene.clock() - SOON / 2
    )
    scene.execute(
        """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
        SELECT id, 1, 1, 'reflected', '', %s FROM destination, generate_series(1, 32)""",
        scene.clock() - SOON / 2,
    )


def drift(scene: Scene) -> None:
    scene.execute(
        "INSERT INTO verification (destination_id, drift, drift_repeated_at) SELECT id, 135, %s"
        " FROM destination",
        scene.clock(),
    )


def crm() -> int:
    destination = run_in_transaction(lambda c: find_by_name(c, services().keys, "crm"))
    assert destination is not None
    return destination.id


def refused_address(scene: Scene) -> None:
    scene.wait("active", timedelta())
    scene.execute("UPDATE sync_state SET outcome = 'refused'")
    scene.clock.advance(TARGET + timedelta(hours=1))


def accept(scene: Scene, cause: Callable[[Scene], None], condition: str) -> None:
    cause(scene)
    assert "is accepted" in scene.look_at(f"flask destinations accept NAME {condition}")


def refused_again(scene: Scene) -> None:
    accept(scene, refused_address, "addresses_refused")
    scene.clock.advance(timedelta(minutes=1))
    address = parse_address("joan@example.com", Channel.EMAIL)
    record([change(2, at=scene.clock(), address=address)])
    scene.execute("UPDATE sync_state SET outcome = 'refused'")


def wrong_account(scene: Scene) -> None:
    scene.wait("active", timedelta())
    for number in range(2, MIN_NEWEST + 2):
        address = parse_address(f"person{number}@example.com", Channel.EMAIL)
        record([change(number, at=scene.clock(), address=address)])
    work(crm(), TwoWayTool())


def not_readable(scene: Scene) -> None:
    scene.wait("active", timedelta())
    work(crm(), tool := TwoWayTool())
    refuse(tool, scene.patch, "scan", DeliveryError("no right to list", permanent=True))
    for _ in range(5):
        read(crm(), tool, ListingKind.SCAN)
        scene.clock.advance(SOON / 4)


def report(scene: Scene, **row: object) -> None:
    """The tool posts a webhook, and a worker takes it."""
    scene.execute("UPDATE destination SET kind = 'sendgrid'")
    post(crm(), row)
    ingest_stored(crm(), TwoWayTool())
    scene.clock.advance(SOON)


def unprocessed(scene: Scene) -> None:
    def fail(_kind: str) -> WebhookSource:
        raise KeyError("email")

    scene.patch.setattr(process, "get_webhook_source", lambda _: Mock(parse=fail))
    report(scene, event="unsubscribe")


def unverified(scene: Scene) -> None:
    scene.execute("UPDATE destination SET kind = 'sendgrid'")
    for _ in range(2):
        assert scene.app.test_client().post("/in/crm", json=[]).status_code == 401
    labels = 'kind="webhook",outcome="unverified",destination="crm"'
    scene.series[f"preference_center_inbound_total{{{labels}}}"] = "_x14 1 2x30"


def not_understood(scene: Scene) -> None:
    report(scene, event="moved_house", email="anna@example.com")
