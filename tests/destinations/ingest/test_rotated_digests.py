"""What a tool reports again after the digest keys were rotated is one act with what it reported."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from preference_center.core.events import EventKind
from preference_center.infra.keys.fingerprints import require_known_keys
from tests.clock import Clock
from tests.destinations.ingest.steps import ingest_stored, post, unsubscribe
from tests.destinations.steps import TOPIC, events, say
from tests.destinations.two_way_tool import TwoWayTool, add_destination
from tests.in_force import put_in_force
from tests.infra.keys.processes import rotated

DAY = timedelta(days=1)


def soft_bounce(**more: Any) -> dict[str, Any]:
    """One that stops marketing for a time once it is counted twice, on two days."""
    return unsubscribe(event="bounce", type="blocked", status="5.2.1", reason="", **more)


@pytest.mark.owner
@pytest.mark.parametrize(
    "report, recorded",
    [
        pytest.param(unsubscribe, ["opted_out", "opted_in"], id="an opt-out"),
        pytest.param(soft_bounce, ["opted_in"], id="a bounce that is counted"),
    ],
)
def test_an_act_of_before_a_rotation_is_recorded_once(
    app: Flask,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    report: Callable[..., dict[str, Any]],
    recorded: list[str],
) -> None:
    """Else a late report of it, whose date can't be right, would end a newer opt-in (I5)."""
    put_in_force(app)
    with app.app_context():
        require_known_keys()
        number = add_destination("mailer", TOPIC)
        post(number, report())
        ingest_stored(number, TwoWayTool())
        clock.advance(DAY)
        say(EventKind.OPTED_IN)
    with rotated(app, clock, monkeypatch):
        post(number, report(timestamp=0))
        ingest_stored(number, TwoWayTool())
        assert [kind for kind, *_ in events()] == recorded
        post(number, report(act="e2"))  # another act is recorded
        ingest_stored(number, TwoWayTool())
        assert [kind for kind, *_ in events()] != recorded
