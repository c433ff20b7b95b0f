from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushResult,
)
from preference_center.integrations.meta_audiences.connector import hash_address
from tests.integrations.contract import ANNA, BO, JsonApiContract, Rig, off, results
from tests.integrations.mapped_contract import MappedContract
from tests.integrations.odd_answers_contract import OddAnswersContract
from tests.integrations.tools.described import Description
from tests.integrations.tools.meta_audiences import ACCOUNT, TOKEN, MetaStandIn
from tests.integrations.tools.stand_in import Fault

AUDIENCES = {"news": "11", "offers": "12"}
"""As the contracts call them; a destination maps `sharing` alone."""


@dataclass(slots=True)
class Account:
    server: MetaStandIn

    def off(self, address: str) -> set[str]:
        hashed = hash_address(address)
        return {topic for topic, id_ in AUDIENCES.items() if hashed in self.server.removed[id_]}

    def turn_off(self, address: str, topic: str) -> None:
        self.server.removed[AUDIENCES[topic]].add(hash_address(address))

    def requests(self) -> int:
        return len(self.server.seen)

    def reject(self, address: str) -> None:
        self.server.invalid.add(hash_address(address))


@pytest.fixture(scope="module")
def description() -> Description:
    """Ours, from Meta's reference: see its `info`."""
    return Description(Path(__file__).parents[1] / "contracts" / "meta_audiences.json")


@pytest.fixture
def server(description: Description) -> Iterator[MetaStandIn]:
    description.faults.clear()
    with MetaStandIn(description.watch) as server:
        yield server
    assert description.faults == []


@pytest.fixture
def rig(server: MetaStandIn) -> Rig:
    settings = {"access_token": TOKEN, "ad_account": ACCOUNT, "base_url": server.url}
    return Rig("meta_audiences", DestinationConfig("meta", settings, AUDIENCES), Account(server))


class TestMetaAudiences(JsonApiContract, MappedContract):
    refusal: ClassVar[str] = "error 190"


class TestOddAnswers(OddAnswersContract):
    pass


def fault(code: int, usage: str = "") -> Fault:
    body = {"error": {"message": f"of {ANNA}", "code": code}}
    return Fault(400, {"X-Business-Use-Case-Usage": usage}, json.dumps(body))


def failure(rig: Rig, server: MetaStandIn, answer: Fault) -> DeliveryError:
    server.fail(answer)
    with pytest.raises(DeliveryError) as caught:
        rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert ANNA not in str(caught.value)  # I12
    return caught.value


def test_an_address_is_hashed_as_the_company_hashes_what_it_uploads() -> None:
    expected = hashlib.sha256(b"anna@example.com").hexdigest()
    assert hash_address(" Anna@Example.com ") == expected


def test_an_audience_is_a_request_that_names_nobody_in_its_url(
    rig: Rig, server: MetaStandIn
) -> None:  # I12
    rig.make().push([off(n, f"p{n}@example.com", "news", "offers") for n in range(50)])
    assert server.seen == [("DELETE", "/v25.0/11/users"), ("DELETE", "/v25.0/12/users")]


@pytest.mark.parametrize("code", [4, 17, 613, 80_003])
def test_a_rate_limit_is_told_by_its_code_and_waits_as_long_as_the_header_says(
    rig: Rig, server: MetaStandIn, code: int
) -> None:
    usage = {ACCOUNT: [{"type": "custom_audience", "estimated_time_to_regain_access": 19}]}
    error = failure(rig, server, fault(code, json.dumps(usage)))
    assert (error.permanent, error.retry_after) == (False, timedelta(minutes=19))


@pytest.mark.parametrize("usage", ["", "[]", "{", '{"a": [{}]}', '{"a": 7}', "null"])
def test_a_header_that_says_nothing_leaves_the_wait_to_us(
    rig: Rig, server: MetaStandIn, usage: str
) -> None:
    error = failure(rig, server, fault(4, usage))
    assert (error.permanent, error.retry_after) == (False, None)


@pytest.mark.parametrize("code", [1, 2])
def test_a_fault_of_theirs_is_tried_again(rig: Rig, server: MetaStandIn, code: int) -> None:
    assert not failure(rig, server, fault(code)).permanent


@pytest.mark.parametrize("code", [10, 190, 200, 294])
def test_rights_that_are_gone_stop_the_destination(
    rig: Rig, server: MetaStandIn, code: int
) -> None:
    assert failure(rig, server, fault(code)).permanent


def test_an_audience_that_is_restricted_is_named_with_the_remedy(
    rig: Rig, server: MetaStandIn
) -> None:
    server.statuses["11"] = 471
    assert any("restricted by Meta" in each for each in rig.make().check().problems)
    with pytest.raises(DeliveryError, match="Audience Manager") as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert caught.value.permanent


def test_an_audience_that_is_gone_is_no_fault_of_the_addresses(
    rig: Rig, server: MetaStandIn
) -> None:
    del server.audiences["12"]
    with pytest.raises(DeliveryError, match="offers is mapped to no audience") as caught:
        rig.make().push([off(1, ANNA, "offers"), off(2, BO, "offers")])
    assert caught.value.permanent


def test_an_audience_that_nobody_can_be_taken_out_of_is_refused(
    rig: Rig, server: MetaStandIn
) -> None:
    server.subtypes["12"] = "LOOKALIKE"
    (problem,) = rig.make().check().problems
    assert "offers" in problem
    assert "customer list" in problem


def test_an_answer_about_fewer_people_is_no_acknowledgement(rig: Rig, server: MetaStandIn) -> None:
    body = '{"audience_id": "11", "num_received": 1, "num_invalid_entries": 0}'
    server.fail(Fault(200, body=body))
    with pytest.raises(DeliveryError):
        rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])


def test_sharing_is_what_is_mapped(rig: Rig, server: MetaStandIn) -> None:
    mapped = replace(rig, setup=replace(rig.setup, topics={"sharing": "11"}))
    connector = mapped.make()
    assert connector.check().ok
    assert results(connector.push([off(1, ANNA, "sharing")])) == {1: PushResult.REFLECTED}
    assert server.removed["11"] == {hash_address(ANNA)}
