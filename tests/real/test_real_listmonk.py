"""What only listmonk itself can show: its rights, and the times that it tells."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    DestinationConfig,
    PushResult,
    SupportsPull,
)
from preference_center.integrations.base.http import HttpContext, utc_now
from preference_center.integrations.registry import make_connector
from tests.integrations.both_ways_contract import whole
from tests.integrations.contract import off, results
from tests.real.conftest import Start
from tests.real.tools.listmonk import RIGHTS, Listmonk
from tests.real.tools.running import NEWS, OFFERS

ANNA = "anna@example.com"


@pytest.fixture
def tool(start: Start) -> Listmonk:
    tool = cast("Listmonk", start("listmonk"))
    tool.forget()
    return tool


def connect(tool: Listmonk, user: str = "", token: str = "") -> Connector:
    topics = {"news": tool.mapping[NEWS], "offers": tool.mapping[OFFERS]}
    setup = DestinationConfig("monk", tool.settings, topics)
    if user:
        setup = replace(setup, settings={**setup.settings, "user": user, "token": token})
    return make_connector("listmonk", setup, HttpContext(allow_private=True))


def test_its_profile_names_all_rights_that_are_held(tool: Listmonk) -> None:
    report = connect(tool).check()
    assert report.ok
    assert len(report.permissions) == 7
    assert all(right.is_granted for right in report.permissions)


@pytest.mark.parametrize("missing", RIGHTS)
def test_a_right_that_is_missing_is_found_by_check(tool: Listmonk, missing: str) -> None:
    tool.add(ANNA)
    name = missing.replace(":", "-")
    token = tool.make_user(name, tuple(right for right in RIGHTS if right != missing))
    connector = connect(tool, name, token)
    assert any(missing in problem for problem in connector.check().problems)
    with pytest.raises(DeliveryError) as caught:
        connector.push([off(1, ANNA, "news")])
    assert caught.value.permanent, "what check reports missing is needed"
    assert tool.off(ANNA) == set()


def test_nobody_is_seen_without_a_list_role_or_all_subscribers(tool: Listmonk) -> None:
    tool.add(ANNA)
    rights = (*RIGHTS, "subscribers:get")
    token = tool.make_user("blind", tuple(r for r in rights if r != "subscribers:get_all"))
    connector = connect(tool, "blind", token)
    assert any("subscribers:get_all" in problem for problem in connector.check().problems)
    assert results(connector.push([off(1, ANNA, "news")])) == {1: PushResult.ABSENT}


def test_the_time_of_an_opt_out_is_reported(tool: Listmonk) -> None:  # I5
    tool.add(ANNA)
    before = utc_now()
    tool.turn_off(ANNA, NEWS)
    (event,) = whole(cast("SupportsPull", connect(tool)).pull)[0]
    assert (event.address, event.target) == (ANNA, tool.mapping[NEWS])
    assert event.occurred_at is not None
    assert before <= event.occurred_at <= utc_now()
