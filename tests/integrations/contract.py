"""What every connector must do, whatever the tool behind it.

A connector's test file makes a `Rig` and inherits the classes that fit it, which
`test_contracts.py` looks after.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest
from httpcore import SyncBackend

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    DeliveryError,
    LeaseExpired,
    NoResponse,
    PushItem,
    PushResult,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import HttpTimeouts
from preference_center.integrations.registry import get_spec
from tests.integrations.rig import ANNA, BO, CY, NOW, ODD, Rig, Tool, lift, off, results
from tests.integrations.tools.stand_in import Fault, StandIn

__all__ = [
    "ANNA",
    "BO",
    "CY",
    "NOW",
    "ODD",
    "ConnectorContract",
    "HttpContract",
    "JsonApiContract",
    "PushContract",
    "Rig",
    "Tool",
    "lift",
    "off",
    "results",
]


def can_lift(rig: Rig) -> bool:
    """Whether topics can be turned on again there."""
    return get_spec(rig.kind).capabilities.can_lift


class PushContract:
    """For every connector, and for the tools themselves."""

    def test_check_finds_no_fault_in_a_good_setup(self, rig: Rig) -> None:
        assert rig.make().check().ok

    def test_the_same_push_twice_leaves_the_tool_as_one_does(self, rig: Rig) -> None:
        batch = [off(1, ANNA, "news"), off(2, BO, "news", "offers")]
        connector = rig.make()
        for _ in range(2):
            assert results(connector.push(batch)) == {
                1: PushResult.REFLECTED,
                2: PushResult.REFLECTED,
            }
            assert rig.tool.off(ANNA) == {"news"}
            assert rig.tool.off(BO) == {"news", "offers"}

    def test_a_lift_turns_one_topic_back_on(self, rig: Rig) -> None:
        connector = rig.make()
        if not can_lift(rig):
            with pytest.raises(UnsupportedByDestination, match="can't turn a topic back on"):
                connector.push([lift(1, ANNA, "news")])
            return
        connector.push([off(1, ANNA, "news", "offers")])
        assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}
        assert rig.tool.off(ANNA) == {"offers"}

    def test_topics_in_neither_list_stay_as_they_are(self, rig: Rig) -> None:  # I13
        rig.tool.turn_off(ANNA, "news")
        connector = rig.make()
        connector.push([off(1, ANNA, "offers")])
        assert rig.tool.off(ANNA) == {"news", "offers"}
        if can_lift(rig):
            connector.push([lift(1, ANNA, "offers")])
            assert rig.tool.off(ANNA) == {"news"}

    def test_an_item_with_nothing_to_change_is_reflected(self, rig: Rig) -> None:
        assert results(rig.make().push([off(7, ANNA)])) == {7: PushResult.REFLECTED}
        assert rig.tool.off(ANNA) == set()

    @pytest.mark.parametrize("address", ODD)
    def test_unusual_addresses_arrive_whole(self, rig: Rig, address: str) -> None:
        connector = rig.make()
        assert results(connector.push([off(1, address, "news", "offers")])) == {
            1: PushResult.REFLECTED
        }
        assert rig.tool.off(address) == {"news", "offers"}
        if can_lift(rig):
            connector.push([lift(1, address, "offers")])
            assert rig.tool.off(address) == {"news"}

    def test_an_empty_batch_asks_nothing_of_the_tool(self, rig: Rig) -> None:
        assert rig.make().push([]) == {}
        assert rig.tool.requests() == 0

    def test_a_full_batch_is_taken_and_a_longer_one_is_not_sent(self, rig: Rig) -> None:
        size = get_spec(rig.kind).capabilities.batch_size
        batch = [off(n, f"p{n}@example.com", "news", "offers") for n in range(size)]
        connector = rig.make()
        assert set(results(connector.push(batch)).values()) == {PushResult.REFLECTED}
        assert rig.tool.off(f"p{size - 1}@example.com") == {"news", "offers"}
        before = rig.tool.requests()
        with pytest.raises(ValueError, match="fit a batch"):
            connector.push([*batch, off(size, ANNA, "news")])
        assert rig.tool.requests() == before

    def test_a_worker_whose_lease_is_over_changes_nothing(self, rig: Rig) -> None:
        with pytest.raises(LeaseExpired) as caught:
            rig.make(lease_valid=lambda: False).push([off(1, ANNA, "news")])
        assert not caught.value.permanent
        assert rig.tool.off(ANNA) == set()


class ConnectorContract(PushContract):
    """For every connector: also what its tool has no part in, or takes long."""

    def test_a_tool_that_can_not_lift_is_sent_no_lift(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # I10
        connector = rig.make()
        unable = replace(connector.capabilities, can_lift=False)
        monkeypatch.setattr(type(connector), "capabilities", unable)
        before = rig.tool.requests()
        with pytest.raises(UnsupportedByDestination, match="can't turn a topic back on"):
            connector.push([off(1, ANNA, "news"), lift(2, BO, "news")])
        assert rig.tool.requests() == before
        assert rig.tool.off(ANNA) == set()

    def test_an_address_of_a_channel_that_it_has_not_is_refused(self, rig: Rig) -> None:  # I10
        items = {
            Channel.EMAIL: off(1, ANNA, "news"),
            Channel.SMS: PushItem(1, "+393331234567", Channel.SMS, off=frozenset({"news"})),
            Channel.PHONE: PushItem(1, "+393331234567", Channel.PHONE, off=frozenset({"news"})),
        }
        connector, before = rig.make(), rig.tool.requests()
        for channel in items.keys() - connector.capabilities.channels:
            with pytest.raises(UnsupportedByDestination, match=channel):
                connector.push([off(2, BO, "news"), items[channel]])
        assert rig.tool.requests() == before

    def test_a_thousand_in_a_row_each_get_an_answer(self, rig: Rig) -> None:
        count = int(os.environ.get("TEST_ROW", "300" if rig.one_by_one else "1000"))
        server = getattr(rig.tool, "server", None)
        if isinstance(server, StandIn):
            server.unwatch()  # what is checked of one request is checked elsewhere
        connector = rig.make()
        size = min(connector.capabilities.batch_size, count)
        people = [*ODD, *(f"p{n}@example.com" for n in range(count - len(ODD)))]
        items = [off(ref, address, "news") for ref, address in enumerate(people)]
        found: dict[int, PushResult] = {}
        first = 0
        for start in range(0, count, size):
            found |= results(connector.push(items[start : start + size]))
            first = first or rig.tool.requests()
        assert found == dict.fromkeys(range(count), PushResult.REFLECTED)
        assert rig.tool.requests() <= first * -(-count // size), "no more work as it goes on"
        for address in (*ODD, people[count // 2], people[-1]):
            assert rig.tool.off(address) == {"news"}


class HttpContract(ConnectorContract):
    """For connectors that speak HTTP; `rig.tool` holds a StandIn as `server`."""

    def _server(self, rig: Rig) -> StandIn:
        return cast("StandIn", rig.tool.server)  # type: ignore[attr-defined]

    def _fail_write(self, rig: Rig, fault: Fault) -> DeliveryError:
        self._server(rig).fail(replace(fault, after=rig.requests_before_writing))
        with pytest.raises(DeliveryError) as caught:
            rig.make().push([off(1, ANNA, "news")])
        assert rig.tool.off(ANNA) == set()
        assert ANNA not in str(caught.value)  # I12
        return caught.value

    @pytest.mark.parametrize("retry_after", ["120", "Wed, 25 Nov 2026 12:02:00 GMT"])
    def test_429_hands_on_the_tools_own_retry_after(self, rig: Rig, retry_after: str) -> None:
        error = self._fail_write(rig, Fault(429, {"Retry-After": retry_after}))
        assert error.retry_after == timedelta(minutes=2)
        assert not error.permanent
        assert results(rig.make().push([off(1, ANNA, "news")])) == {1: PushResult.REFLECTED}

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_5xx_is_tried_again(self, rig: Rig, status: int) -> None:
        error = self._fail_write(rig, Fault(status))
        assert not error.permanent

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_is_a_failure_and_is_not_followed(self, rig: Rig, status: int) -> None:
        elsewhere = f"{self._server(rig).url}/elsewhere"
        error = self._fail_write(rig, Fault(status, {"Location": elsewhere}))
        assert not error.permanent
        assert "/elsewhere" not in {path for _, path in self._server(rig).seen}

    @pytest.mark.parametrize("fault", [Fault(hang=True), Fault(200, drip=True)])
    def test_a_silent_or_dripping_tool_is_given_up(self, rig: Rig, fault: Fault) -> None:
        self._server(rig).fail(replace(fault, after=rig.requests_before_writing))
        limits = HttpTimeouts(connect=2, read=0.15, total=0.3)
        with pytest.raises(NoResponse) as caught:
            rig.make(timeouts=limits, network=SyncBackend).push([off(1, ANNA, "news")])
        assert not caught.value.permanent

    def test_what_was_done_when_the_time_was_out_is_good_as_done(self, rig: Rig) -> None:
        batch = [off(1, ANNA, "news")]
        self._server(rig).fail(Fault(hang=True, acts=True, after=rig.requests_before_writing))
        with pytest.raises(NoResponse):
            rig.make().push(batch)
        assert rig.tool.off(ANNA) == {"news"}
        for _ in range(2):
            assert results(rig.make().push(batch)) == {1: PushResult.REFLECTED}
            assert rig.tool.off(ANNA) == {"news"}

    def test_a_tool_that_is_down_is_tried_again(self, rig: Rig) -> None:
        server = self._server(rig)
        server.__exit__()
        with pytest.raises(DeliveryError) as caught:
            rig.make().push([off(1, ANNA, "news")])
        assert not caught.value.permanent
        assert not isinstance(caught.value, NoResponse)

    @pytest.mark.parametrize("status", [401, 403])
    def test_credentials_revoked_in_mid_batch_stop_the_destination(
        self, rig: Rig, status: int
    ) -> None:
        self._server(rig).fail(Fault(status, after=rig.requests_before_writing))
        with pytest.raises(DeliveryError) as caught:
            rig.make().push([off(1, ANNA, "news"), off(2, BO, "offers")])
        assert caught.value.permanent

    def test_neither_address_nor_secret_is_logged(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:  # I12
        caplog.set_level(logging.DEBUG)
        connector = rig.make()
        connector.push([off(1, ANNA, "news")])
        if can_lift(rig):
            connector.push([lift(1, ANNA, "news")])
        logged = "\n".join(f"{r.getMessage()} {r.__dict__}" for r in caplog.records)
        assert rig.setup.name in logged
        secrets = [rig.setup.settings[name] for name in get_spec(rig.kind).secret_settings]
        for hidden in ["anna", *secrets]:
            assert hidden not in logged


class JsonApiContract(HttpContract):
    """For connectors of an API that takes several requests and answers in JSON."""

    @pytest.mark.parametrize("body", ["<html>busy</html>", "", "[1, {}]", "null", '"yes"'])
    def test_garbage_is_no_acknowledgement(self, rig: Rig, body: str) -> None:
        self._server(rig).fail(Fault(200, body=body, after=rig.requests_before_writing))
        with pytest.raises(DeliveryError) as caught:
            rig.make().push([off(1, ANNA, "news")])
        assert not caught.value.permanent
        assert body == "" or body not in str(caught.value)

    def test_what_was_done_before_a_failure_counts_and_the_rest_is_later(self, rig: Rig) -> None:
        batch = self._two_requests_worth()
        wait = {"Retry-After": "30"}
        self._server(rig).fail(Fault(503, wait, after=self._requests_of_the_first_write(rig)))
        outcomes = rig.make().push(batch)
        found = results(outcomes)
        assert set(found) == {item.ref for item in batch}
        assert set(found.values()) == {PushResult.REFLECTED, PushResult.RETRY_LATER}
        for item in batch:
            if found[item.ref] is PushResult.REFLECTED:
                assert rig.tool.off(item.address) == item.off
            else:
                assert outcomes[item.ref].retry_after == timedelta(seconds=30)
        assert set(results(rig.make().push(batch)).values()) == {PushResult.REFLECTED}

    def test_credentials_revoked_when_part_was_done_stop_the_destination(self, rig: Rig) -> None:
        self._server(rig).fail(Fault(401, after=self._requests_of_the_first_write(rig)))
        with pytest.raises(DeliveryError) as caught:
            rig.make().push(self._two_requests_worth())
        assert caught.value.permanent

    def _requests_of_the_first_write(self, rig: Rig) -> int:
        """How many requests there are until the first of `_two_requests_worth` is written."""
        return rig.requests_before_writing + 1

    def _two_requests_worth(self) -> list[PushItem]:
        return [off(1, ANNA, "news"), off(2, BO, "offers"), off(3, CY, "news", "offers")]

    def test_one_address_that_the_tool_rejects_does_not_hold_up_the_others(self, rig: Rig) -> None:
        rig.tool.reject(BO)  # type: ignore[attr-defined]
        batch = [off(1, ANNA, "news"), off(2, BO, "news"), off(3, CY, "news")]
        assert results(rig.make().push(batch)) == {
            1: PushResult.REFLECTED,
            2: PushResult.REFUSED,
            3: PushResult.REFLECTED,
        }
        assert rig.tool.off(ANNA) == rig.tool.off(CY) == {"news"}

    def test_a_request_that_is_rejected_for_every_address_is_no_fault_of_theirs(
        self, rig: Rig
    ) -> None:
        rig.tool.reject(ANNA)  # type: ignore[attr-defined]
        rig.tool.reject(BO)  # type: ignore[attr-defined]
        with pytest.raises(DeliveryError, match="the request itself"):
            rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
