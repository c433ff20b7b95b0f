"""A tool that can't lift: what is off in it may be a person's own act all the same (I13)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

import pytest

from preference_center.core.events import EventKind
from preference_center.destinations.store.listings import ListingKind
from preference_center.integrations.base.contract import Capabilities, ContactPage, ContactSnapshot
from tests.clock import Clock
from tests.destinations.steps import ANNA, TOPIC, events, read, say, work
from tests.destinations.two_way_tool import TwoWayTool, add_destination

pytestmark = pytest.mark.usefixtures("in_context")

LATER = timedelta(hours=2)


@dataclass
class OneWayTool(TwoWayTool):
    """It can't lift; its list of contacts tells what is off."""

    capabilities: ClassVar[Capabilities] = replace(
        TwoWayTool.capabilities,
        can_lift=False,
        pulls=None,
        can_write_fields=False,
        can_hold_link=False,
    )

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        page = super().scan(cursor)
        rows = tuple(
            replace(row, off=frozenset(self.off.get(row.address, ()))) for row in page.rows
        )
        return replace(page, rows=rows)


def test_an_opt_out_made_where_ours_had_been_turned_on_again_is_recorded(clock: Clock) -> None:
    # I13: found by the simulation
    tool, destination = OneWayTool(), add_destination("mailer", TOPIC, pulls=False)
    tool.add(ANNA)
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    clock.advance(LATER)
    say(EventKind.OPTED_IN)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}  # it can't be lifted there
    clock.advance(LATER)
    tool.off[ANNA].clear()  # the person subscribes there
    tool.add(ANNA)
    read(destination, tool, ListingKind.SCAN)
    clock.advance(LATER)
    tool.opt_out(ANNA, TOPIC)
    read(destination, tool, ListingKind.SCAN)
    assert [event[:3] for event in events()][2:] == [("opted_out", TOPIC, "destination")]
