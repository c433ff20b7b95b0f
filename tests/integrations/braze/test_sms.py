from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from preference_center.integrations.base.contract import PushResult
from tests.integrations.both_ways_contract import (
    whole,
)
from tests.integrations.braze.workspace import Workspace, connect
from tests.integrations.contract import ANNA, BO, Rig, results
from tests.integrations.erase_contract import (
    SmsEraseContract,
    erase_items,
    eraser,
)
from tests.integrations.sms_contract import ANNA as PHONE
from tests.integrations.sms_contract import BO as OTHER_PHONE
from tests.integrations.sms_contract import (
    TOPIC,
    RigOfTexts,
    SmsAbsentContract,
    SmsContract,
    SmsOddAnswersContract,
    SmsReadContract,
    text_off,
    with_texts,
)
from tests.integrations.tools.answer_schemas import AnswerSchemas
from tests.integrations.tools.braze import BrazeStandIn
from tests.integrations.tools.described import Description
from tests.integrations.tools.stand_in import Fault


class Texts(Workspace):
    """Email addresses and phone numbers."""

    def off(self, address: str) -> set[str]:
        if not address.startswith("+"):
            return super().off(address)
        held = self.server.groups["99"].get(address)
        return {TOPIC} if held == "unsubscribed" else set()

    def turn_off(self, address: str, topic: str) -> None:
        if topic != TOPIC:
            super().turn_off(address, topic)
        else:
            self.server.groups["99"][address] = "unsubscribed"


@pytest.fixture
def texts(rig: Rig, server: BrazeStandIn) -> Rig:
    """The same workspace, with a topic by SMS besides."""
    return with_texts(rig, Texts(server), "99")


class TestOddAnswersAboutTexts(SmsOddAnswersContract):
    @pytest.fixture
    def schemas(self, descriptions: list[Description]) -> AnswerSchemas:
        return descriptions[0]


class TestBrazesTexts(RigOfTexts, SmsContract, SmsReadContract, SmsAbsentContract):
    pass


class TestErasingBrazesTexts(RigOfTexts, SmsEraseContract):
    @pytest.fixture(autouse=True)
    def strangers(self, server: BrazeStandIn) -> None:
        server.everybody = False


def test_fifty_numbers_are_searched_for_and_turned_off_by_two_requests_each(
    texts: Rig, server: BrazeStandIn
) -> None:
    """Two people have each number, so that they are answered on two pages."""
    numbers = [f"+39333{n:07}" for n in range(50)]
    for number in numbers:
        server.add(number)
    found = texts.make().push([text_off(n, each) for n, each in enumerate(numbers)])
    assert set(results(found).values()) == {PushResult.REFLECTED}
    assert [path for _, path in server.seen] == ["/subscription/user/status"] * 2 + [
        "/v2/subscription/status/set"
    ]


def test_one_number_that_braze_rejects_does_not_hold_up_the_others(
    texts: Rig, server: BrazeStandIn
) -> None:
    server.add(PHONE)
    server.add(OTHER_PHONE)
    server.unaskable.add(OTHER_PHONE)
    found = texts.make().push([text_off(1, PHONE), text_off(2, OTHER_PHONE)])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.REFUSED}


def test_one_number_that_braze_rejects_leaves_the_others_readable(
    texts: Rig, server: BrazeStandIn
) -> None:
    server.add(PHONE)
    Texts(server).turn_off(PHONE, TOPIC)
    server.unaskable.add(OTHER_PHONE)
    found = connect(texts).read([text_off(1, PHONE), text_off(2, OTHER_PHONE)])
    assert found == {1: frozenset({TOPIC})}


def test_who_was_never_in_a_group_of_texts_has_not_left_it(
    texts: Rig, server: BrazeStandIn
) -> None:  # I13
    server.add(PHONE)
    assert connect(texts).read([text_off(1, PHONE)]) == {1: frozenset()}


def test_a_group_of_texts_that_is_missing_is_reported(texts: Rig) -> None:
    setup = replace(texts.setup, topics={TOPIC: "77"})
    (problem,) = replace(texts, setup=setup).make().check().problems
    assert "no SMS subscription group" in problem


def test_a_number_that_braze_writes_otherwise_is_the_same(texts: Rig, server: BrazeStandIn) -> None:
    user: dict[str, Any] = {"email": None, "phone": PHONE.lstrip("+"), "subscription_groups": []}
    server.fail(Fault(200, body=json.dumps({"message": "success", "users": [user]})))
    assert connect(texts).read([text_off(1, PHONE)]) == {1: frozenset()}


def test_a_user_without_a_number_makes_nobody_absent(texts: Rig, server: BrazeStandIn) -> None:
    users = [{"email": ANNA, "phone": None, "subscription_groups": None}]
    for asked in (2, 1):
        server.fail(Fault(200, body=json.dumps({"message": "success", "users": users})))
        batch = [text_off(1, PHONE), text_off(2, OTHER_PHONE)][:asked]
        assert set(results(texts.make().push(batch)).values()) == {PushResult.RETRY_LATER}
    server.fail(Fault(200, body=json.dumps({"message": "success", "users": users})))
    assert connect(texts).read([text_off(1, PHONE)]) == {}


def test_pulling_lists_email_only(texts: Rig, server: BrazeStandIn) -> None:
    server.add(PHONE)
    Texts(server).turn_off(PHONE, TOPIC)
    server.unsubscribed[ANNA] = server.now()
    event, cursor = whole(connect(texts).pull)
    assert [each.address for each in event] == [ANNA]
    alone = replace(texts.setup, topics={TOPIC: "99"})
    assert whole(connect(replace(texts, setup=alone)).pull, cursor) == ([], None)


def test_a_number_of_who_has_an_email_address_too_is_left_to_a_person(
    texts: Rig, server: BrazeStandIn
) -> None:
    """They may be two people with one telephone."""
    for number in (PHONE, OTHER_PHONE):
        server.add(number)
    server.emails[PHONE] = BO
    found = eraser(texts).erase(erase_items([PHONE, OTHER_PHONE]))
    assert results(found) == {0: PushResult.REFUSED, 1: PushResult.RETRY_LATER}
    assert "email address" in found[0].ack
    assert server.deleting == [OTHER_PHONE]
