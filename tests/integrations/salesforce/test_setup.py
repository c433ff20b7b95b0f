"""What is refused, or reported, when a destination is set up."""

from __future__ import annotations

from typing import Any

import pytest

from preference_center.integrations.base.contract import (
    DeliveryError,
    PushResult,
    UnsupportedByDestination,
)
from tests.integrations.both_ways_contract import (
    whole,
    with_settings,
)
from tests.integrations.contract import ANNA, Rig, off, results
from tests.integrations.salesforce.org import connect
from tests.integrations.tools.salesforce import (
    OFFERS,
    OPT_OUT,
    SalesforceStandIn,
)


def test_opted_out_of_email_may_stand_for_the_only_topic(
    rig: Rig, server: SalesforceStandIn
) -> None:  # I10
    connector = connect(rig, topics={"news": OPT_OUT})
    assert connector.check().ok
    assert results(connector.push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
    assert server.of(ANNA)[0][OPT_OUT] is True
    (event,) = whole(connector.pull)[0]
    assert event.target == OPT_OUT


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"topics": {"news": OPT_OUT}, "sends_service": True}, "service mail"),
        ({"topics": {"news": OPT_OUT, "offers": OFFERS}}, "offers"),
        ({"topics": {"news": "Id FROM User--"}}, "API name"),
    ],
)
def test_a_mapping_that_stops_more_than_its_topic_is_refused(
    rig: Rig, server: SalesforceStandIn, changes: dict[str, Any], named: str
) -> None:  # I10, I4
    connector = connect(rig, **changes)
    problems = connector.check().problems
    assert any(named in problem for problem in problems)
    before = len(server.seen)
    for attempt in (
        lambda: connector.push([off(1, ANNA, "news")]),
        lambda: connector.read([off(1, ANNA)]),
        lambda: connector.pull(None),
        lambda: connector.scan(None),
    ):
        with pytest.raises(UnsupportedByDestination, match=named):
            attempt()
    assert len(server.seen) == before


@pytest.mark.parametrize(
    "fault, named",
    [("hidden", "No_Offers__c"), ("frozen", "Edit Access on")],
    ids=["hidden", "frozen"],
)
def test_a_checkbox_that_the_user_may_not_write_is_reported(
    rig: Rig, server: SalesforceStandIn, fault: str, named: str
) -> None:
    getattr(server, fault).add(OFFERS)
    problems = rig.make().check().problems
    assert len(problems) == 2  # for contacts and for leads
    assert all(named in problem for problem in problems)


def test_records_that_the_user_may_not_edit_are_reported(
    rig: Rig, server: SalesforceStandIn
) -> None:
    server.locked.add("Lead")
    (problem,) = rig.make().check().problems
    assert "Edit on Lead" in problem
    assert "permission set" in problem
    server.add(ANNA, "Lead")
    server.everybody = False
    assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.REFUSED}


def test_a_hidden_opt_out_is_reported(rig: Rig, server: SalesforceStandIn) -> None:
    server.hidden.add(OPT_OUT)
    assert all(OPT_OUT in problem for problem in rig.make().check().problems)
    with pytest.raises(DeliveryError, match="INVALID_FIELD") as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert caught.value.permanent


def test_a_field_that_can_not_hold_a_link_is_reported(rig: Rig) -> None:
    problems = with_settings(rig, link_field="Email").make().check().problems
    assert all("255 characters" in problem for problem in problems)
    assert len(problems) == 2
