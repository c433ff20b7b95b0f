"""What a connector with `can_erase` must do (GDPR art. 17, 19; I6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol, cast

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.integrations.base.contract import (
    DeliveryError,
    EraseItem,
    EraseMode,
    LeaseExpired,
    PushOutcome,
    PushResult,
    SupportsErase,
)
from preference_center.integrations.registry import get_spec
from preference_center.ledger.rules import contains_address
from tests.integrations.contract import ANNA, BO, ODD, Rig, off, results
from tests.integrations.rig import channel_of
from tests.integrations.sms_contract import ANNA as PHONE
from tests.integrations.sms_contract import BO as OTHER_PHONE
from tests.integrations.tools.stand_in import Fault, StandIn

GONE = {PushResult.REFLECTED, PushResult.ABSENT}


class Persons(Protocol):
    """A tool that holds persons, as somebody else than us uses it.

    Two more methods are optional: `finish_erasures()` ends the tool's own jobs, and
    `bars(address)` says whether the tool refuses to take the address again.
    """

    def add(self, address: str) -> None:
        """Have the tool hold data of this person."""
        ...

    def has(self, address: str) -> bool:
        """Whether it holds data of this person, apart from a suppression."""
        ...


def persons(rig: Rig) -> Persons:
    return cast("Persons", rig.tool)


def eraser(rig: Rig) -> SupportsErase:
    return cast("SupportsErase", rig.make())


def erase_items(addresses: Sequence[str]) -> list[EraseItem]:
    return [EraseItem(ref, address, channel_of(address)) for ref, address in enumerate(addresses)]


def erase(rig: Rig, *addresses: str) -> dict[int, PushOutcome]:
    """Erase these until the tool has done what it does later, and say what came of each."""
    outcomes: dict[int, PushOutcome] = {}
    waiting = erase_items(addresses)
    for _ in range(10):
        found = eraser(rig).erase(waiting)
        assert set(found) == {item.ref for item in waiting}
        outcomes |= found
        waiting = [
            replace(item, job=found[item.ref].job or item.job)
            for item in waiting
            if found[item.ref].result is PushResult.RETRY_LATER
        ]
        if not waiting:
            break
        assert all("@" not in item.job and len(item.job) <= 200 for item in waiting)  # I12
        if finish := getattr(rig.tool, "finish_erasures", None):
            finish()
    return outcomes


class EraseContract:
    """For connectors with `can_erase`."""

    def test_a_person_is_erased_and_nobody_else(self, rig: Rig) -> None:
        others = [BO, "anna+news@example.com", "hanna@example.com", "anna@example.com.example"]
        for address in (ANNA, *others):
            persons(rig).add(address)
        assert results(erase(rig, ANNA)) == {0: PushResult.REFLECTED}
        assert not persons(rig).has(ANNA)
        assert [address for address in others if not persons(rig).has(address)] == []

    @pytest.mark.parametrize("address", ODD)
    def test_unusual_addresses_are_erased(self, rig: Rig, address: str) -> None:
        persons(rig).add(address)
        assert results(erase(rig, address)) == {0: PushResult.REFLECTED}
        assert not persons(rig).has(address)

    def test_what_is_kept_of_an_answer_is_not_made_from_the_address(self, rig: Rig) -> None:  # I6
        """It outlives the erasure: not as it reads, encoded or hashed."""
        persons(rig).add(ANNA)
        anna = parse_address(ANNA, Channel.EMAIL)
        pushed = rig.make().push([off(1, ANNA, "news")])
        for outcome in (*pushed.values(), *erase(rig, ANNA).values()):
            assert not contains_address(f"{outcome.ack} {outcome.job}", anna)

    def test_whom_the_tool_does_not_know_is_no_failure_and_is_not_created(self, rig: Rig) -> None:
        persons(rig).add(BO)
        assert results(erase(rig, ANNA))[0] in GONE
        assert not persons(rig).has(ANNA)
        assert persons(rig).has(BO)

    def test_erasing_twice_is_no_failure(self, rig: Rig) -> None:
        persons(rig).add(ANNA)
        erase(rig, ANNA)
        assert results(erase(rig, ANNA))[0] in GONE
        assert not persons(rig).has(ANNA)

    def test_a_full_batch_is_erased_and_a_longer_one_is_not_sent(self, rig: Rig) -> None:
        size = get_spec(rig.kind).capabilities.batch_size
        batch = [f"p{n}@example.com" for n in range(min(size, 30))]
        for address in batch:
            persons(rig).add(address)
        assert set(results(erase(rig, *batch)).values()) <= GONE
        assert [address for address in batch if persons(rig).has(address)] == []
        before = rig.tool.requests()
        with pytest.raises(ValueError, match="fit a batch"):
            eraser(rig).erase(erase_items([f"q{n}@example.com" for n in range(size + 1)]))
        assert rig.tool.requests() == before

    def test_an_empty_batch_asks_nothing_to_erase(self, rig: Rig) -> None:
        assert eraser(rig).erase([]) == {}
        assert rig.tool.requests() == 0

    def test_a_worker_whose_lease_is_over_erases_nothing(self, rig: Rig) -> None:
        persons(rig).add(ANNA)
        connector = cast("SupportsErase", rig.make(lease_valid=lambda: False))
        with pytest.raises(LeaseExpired):
            connector.erase(erase_items([ANNA]))
        assert persons(rig).has(ANNA)

    def test_an_opt_out_survives_where_the_tool_keeps_it(self, rig: Rig) -> None:  # I6
        persons(rig).add(ANNA)
        rig.make().push([off(1, ANNA, "news")])
        erase(rig, ANNA)
        if get_spec(rig.kind).capabilities.erase is EraseMode.KEEPS_OPT_OUT:
            bars = getattr(rig.tool, "bars", lambda _: False)
            assert "news" in rig.tool.off(ANNA) or bars(ANNA)

    def test_the_tool_says_whom_it_still_holds(self, rig: Rig) -> None:
        if not get_spec(rig.kind).capabilities.confirms_erasure:
            return
        persons(rig).add(ANNA)
        persons(rig).add(BO)
        items = erase_items([ANNA, BO, "nobody@example.com"])
        assert eraser(rig).find_held(items) == {0: True, 1: True, 2: False}
        erase(rig, ANNA)
        assert eraser(rig).find_held(items) == {0: False, 1: True, 2: False}
        assert eraser(rig).find_held([]) == {}


class EraseHttpContract:
    """The same for connectors that speak HTTP."""

    def _fail(self, rig: Rig, fault: Fault) -> DeliveryError:
        persons(rig).add(ANNA)
        server = cast("StandIn", rig.tool.server)  # type: ignore[attr-defined]
        server.fail(replace(fault, after=rig.requests_before_erasing))
        with pytest.raises(DeliveryError) as caught:
            eraser(rig).erase(erase_items([ANNA]))
        assert persons(rig).has(ANNA)
        assert ANNA not in str(caught.value)  # I12
        return caught.value

    def test_429_while_erasing_hands_on_the_tools_own_retry_after(self, rig: Rig) -> None:
        error = self._fail(rig, Fault(429, {"Retry-After": "120"}))
        assert error.retry_after == timedelta(minutes=2)
        assert not error.permanent
        assert results(erase(rig, ANNA)) == {0: PushResult.REFLECTED}

    @pytest.mark.parametrize("status", [500, 503])
    def test_5xx_while_erasing_is_tried_again(self, rig: Rig, status: int) -> None:
        assert not self._fail(rig, Fault(status)).permanent
        assert results(erase(rig, ANNA)) == {0: PushResult.REFLECTED}

    def test_credentials_that_may_not_erase_stop_the_erasing(self, rig: Rig) -> None:
        assert self._fail(rig, Fault(401)).permanent


class SmsEraseContract:
    """For connectors that erase by phone number: the rig is that of `sms_contract`."""

    def test_a_number_is_erased_and_no_other(self, rig: Rig) -> None:
        for number in (PHONE, OTHER_PHONE):
            persons(rig).add(number)
        assert results(erase(rig, PHONE)) == {0: PushResult.REFLECTED}
        assert not persons(rig).has(PHONE)
        assert persons(rig).has(OTHER_PHONE)
        assert results(erase(rig, PHONE))[0] in GONE

    def test_the_tool_says_which_numbers_it_still_holds(self, rig: Rig) -> None:
        if get_spec(rig.kind).capabilities.confirms_erasure:
            persons(rig).add(PHONE)
            assert eraser(rig).find_held(erase_items([PHONE, OTHER_PHONE])) == {0: True, 1: False}

    def test_a_number_that_is_not_there_is_not_created_by_erasing_it(self, rig: Rig) -> None:
        persons(rig).add(OTHER_PHONE)
        assert results(erase(rig, PHONE))[0] in GONE
        assert not persons(rig).has(PHONE)

    def test_both_channels_are_erased_at_once(self, rig: Rig) -> None:
        for address in (ANNA, PHONE):
            persons(rig).add(address)
        found = results(erase(rig, ANNA, PHONE))
        assert found == {0: PushResult.REFLECTED, 1: PushResult.REFLECTED}
        assert not persons(rig).has(ANNA)
        assert not persons(rig).has(PHONE)
