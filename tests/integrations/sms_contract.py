"""What a connector must do that holds opt-outs from text messages.

Each class goes with a capability, as in `both_ways_contract`. The rig maps the topic `flash`,
which goes by SMS, besides `news` and `offers`; its tool has phone numbers next to email
addresses; a number begins with `+`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    Capabilities,
    Connector,
    PushItem,
    PushResult,
    SupportsPull,
    SupportsRead,
    SupportsScan,
)
from preference_center.integrations.base.integration import ConnectorSpec
from preference_center.integrations.base.multi_channel import (
    ConnectorFactories,
    connector_for_channel,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.registry import get_spec
from tests.integrations.both_ways_contract import Contacts, hands, whole
from tests.integrations.contract import ANNA as ANNAS_EMAIL
from tests.integrations.contract import BO as BOS_EMAIL
from tests.integrations.contract import NOW, Rig, Tool, off, results
from tests.integrations.odd_answers_contract import OddAnswersContract

ANNA, BO, CY = "+393331234567", "+4915123456789", "+15005550001"
TOPIC = "flash"
CHANNELS = {TOPIC: Channel.SMS}


def text_off(ref: int, number: str, *topics: str) -> PushItem:
    """An item that turns texts off."""
    off = frozenset(topics or (TOPIC,))
    return PushItem(ref, number, Channel.SMS, off=off, version=1, since=NOW)


def text_lift(ref: int, number: str, *topics: str) -> PushItem:
    """An item that turns texts on again."""
    lift = frozenset(topics or (TOPIC,))
    return PushItem(ref, number, Channel.SMS, lift=lift, version=2, since=NOW)


def texts_of(entry: ConnectorSpec) -> Capabilities:
    """What a kind can do by SMS."""
    parts: ConnectorFactories = getattr(entry.build, "connector_factories", {})
    part = parts.get(Channel.SMS)
    return cast("Connector", part).capabilities if part else entry.capabilities


def prepare(rig: Rig, *numbers: str) -> None:
    """Make contacts of these, in a tool that has such."""
    if hasattr(rig.tool, "add"):
        for number in numbers:
            hands(rig).add(number)


def with_texts(rig: Rig, tool: Tool, target: str = "sms") -> Rig:
    """`rig` with the topic by SMS besides, at `target`; `tool` also has phone numbers."""
    topics = {**rig.setup.topics, TOPIC: target}
    return replace(rig, setup=replace(rig.setup, topics=topics, channels=CHANNELS), tool=tool)


class RigOfTexts:
    """For test files whose fixture `rig` has no topic by SMS, and whose `texts` has."""

    @pytest.fixture
    def rig(self, texts: Rig) -> Rig:
        return texts


class SmsContract:
    """For connectors that hold opt-outs from text messages."""

    def test_check_finds_no_fault_with_a_topic_that_goes_by_sms(self, rig: Rig) -> None:
        assert rig.make().check().ok

    def test_texts_are_turned_off_by_number(self, rig: Rig) -> None:
        prepare(rig, ANNA, BO)
        connector = rig.make()
        for _ in range(2):
            found = connector.push([text_off(1, ANNA), text_off(2, BO)])
            assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.REFLECTED}
            assert rig.tool.off(ANNA) == rig.tool.off(BO) == {TOPIC}

    def test_a_lift_turns_texts_on_again(self, rig: Rig) -> None:
        prepare(rig, ANNA)
        connector = rig.make()
        connector.push([text_off(1, ANNA)])
        assert results(connector.push([text_lift(1, ANNA)])) == {1: PushResult.REFLECTED}
        assert rig.tool.off(ANNA) == set()

    def test_what_another_hand_turned_off_stays_off(self, rig: Rig) -> None:  # I13
        prepare(rig, ANNA, BO)
        rig.tool.turn_off(ANNA, TOPIC)
        rig.make().push([PushItem(1, ANNA, Channel.SMS), text_off(2, BO)])
        assert rig.tool.off(ANNA) == {TOPIC}

    def test_both_channels_in_one_push_are_each_turned_off(self, rig: Rig) -> None:
        if Channel.EMAIL not in get_spec(rig.kind).capabilities.channels:
            return
        prepare(rig, ANNA, ANNAS_EMAIL, BOS_EMAIL)
        found = rig.make().push(
            [off(1, ANNAS_EMAIL, "news"), text_off(2, ANNA), off(3, BOS_EMAIL, "offers")]
        )
        assert results(found) == dict.fromkeys((1, 2, 3), PushResult.REFLECTED)
        assert rig.tool.off(ANNAS_EMAIL) == {"news"}
        assert rig.tool.off(ANNA) == {TOPIC}
        assert rig.tool.off(BOS_EMAIL) == {"offers"}

    def test_a_full_batch_of_numbers_is_taken(self, rig: Rig) -> None:
        size = min(get_spec(rig.kind).capabilities.batch_size, 100)
        numbers = [f"+39333{n:07}" for n in range(size)]
        prepare(rig, *numbers)
        found = rig.make().push([text_off(n, number) for n, number in enumerate(numbers)])
        assert set(results(found).values()) == {PushResult.REFLECTED}
        assert rig.tool.off(numbers[-1]) == {TOPIC}

    def test_no_number_is_logged(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:  # I12
        caplog.set_level(logging.DEBUG)
        prepare(rig, ANNA)
        rig.make().push([text_off(1, ANNA)])
        logged = "\n".join(f"{r.getMessage()} {r.__dict__}" for r in caplog.records)
        assert ANNA[1:] not in logged


class SmsReadContract:
    """For those of them with `can_read`."""

    def test_what_was_pushed_to_numbers_can_be_read_back(self, rig: Rig) -> None:
        prepare(rig, ANNA, BO)
        connector = rig.make()
        connector.push([text_off(1, ANNA)])
        asked = [PushItem(1, ANNA, Channel.SMS), PushItem(2, BO, Channel.SMS)]
        found = cast("SupportsRead", connector).read(asked)
        assert found == {1: frozenset({TOPIC}), 2: frozenset()}
        assert rig.tool.off(BO) == set()

    def test_another_hands_opt_out_from_texts_is_read_too(self, rig: Rig) -> None:  # I13
        prepare(rig, CY)
        rig.tool.turn_off(CY, TOPIC)
        found = cast("SupportsRead", rig.make()).read([PushItem(3, CY, Channel.SMS)])
        assert found == {3: frozenset({TOPIC})}


class SmsScanContract:
    """For those of them with `scans`."""

    def test_every_number_is_found_over_as_many_pages_as_it_takes(self, rig: Rig) -> None:
        everybody = {f"+39333{n:07}" for n in range(230)}
        for number in everybody:
            hands(rig).add(number)
        hands(rig).add(ANNAS_EMAIL)
        seen, _ = whole(cast("SupportsScan", rig.make()).scan)
        assert {each.address for each in seen if each.channel is Channel.SMS} == everybody
        assert ANNAS_EMAIL in {each.address for each in seen if each.channel is Channel.EMAIL}

    def test_a_number_that_comes_later_is_found_later(self, rig: Rig) -> None:  # I13
        hands(rig).add(ANNA)
        connector = cast("SupportsScan", rig.make())
        _, cursor = whole(connector.scan)
        hands(rig).add(BO)
        seen, _ = whole(connector.scan, cursor)
        assert BO in {each.address for each in seen}


class SmsPullContract:
    """For those of them with `pulls`."""

    target: ClassVar[str] = "sms"

    def test_an_opt_out_from_texts_made_in_the_tool_is_pulled(self, rig: Rig) -> None:  # I13
        prepare(rig, ANNA, BO)
        rig.tool.turn_off(ANNA, TOPIC)
        (one,) = self.pulled(rig)
        assert (one.kind, one.address, one.target) == (VendorEventKind.OPTED_OUT, ANNA, self.target)

    def test_one_by_text_that_is_made_later_is_found_later(self, rig: Rig) -> None:
        prepare(rig, ANNA, CY)
        rig.tool.turn_off(ANNA, TOPIC)
        connector = cast("SupportsPull", rig.make())
        _, cursor = whole(connector.pull)
        rig.tool.turn_off(CY, TOPIC)
        events, _ = whole(connector.pull, cursor)
        assert CY in {each.address for each in _texted(events)}

    def pulled(self, rig: Rig) -> list[VendorEvent]:
        return _texted(whole(cast("SupportsPull", rig.make()).pull)[0])


class SmsAbsentContract:
    """For tools that text only who is in their list of contacts."""

    def test_a_number_that_is_not_there_is_absent_and_not_created(self, rig: Rig) -> None:  # I13
        hands(rig).add(ANNA)
        found = rig.make().push([text_off(1, ANNA), text_off(2, BO)])
        assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.ABSENT}
        assert not hands(rig).has(BO)
        assert results(rig.make().push([text_lift(3, BO)])) == {3: PushResult.ABSENT}
        assert not hands(rig).has(BO)

    def test_a_number_that_is_not_there_reads_as_absent(self, rig: Rig) -> None:
        if get_spec(rig.kind).capabilities.can_read:
            asked = [PushItem(1, BO, Channel.SMS)]
            assert cast("SupportsRead", rig.make()).read(asked) == {1: None}


class SmsOddAnswersContract(OddAnswersContract):
    """For those of them whose tools have a description; the fixture `texts` is their rig."""

    @pytest.fixture
    def rig(self, texts: Rig) -> Rig:
        return as_news(texts)

    def people(self, run: int) -> dict[int, str]:
        return {ref: f"+39333{run:05}{ref}" for ref in (1, 2, 3)}

    def abilities(self, rig: Rig) -> Capabilities:
        return connector_for_channel(rig.make(), Channel.SMS).capabilities


def as_news(rig: Rig) -> Rig:
    """A rig whose topic by SMS is the only one, and called as that contract calls it."""
    topics = {"news": rig.setup.topics[TOPIC]}
    setup = replace(rig.setup, topics=topics, channels={"news": Channel.SMS})
    return replace(rig, setup=setup, tool=_News(rig.tool))


@dataclass
class _News:
    tool: Tool

    @property
    def server(self) -> object:
        return self.tool.server  # type: ignore[attr-defined]

    def add(self, address: str) -> None:
        cast("Contacts", self.tool).add(address)

    def has(self, address: str) -> bool:
        return cast("Contacts", self.tool).has(address)

    def off(self, address: str) -> set[str]:
        return {"news"} if TOPIC in self.tool.off(address) else set()

    def turn_off(self, address: str, topic: str) -> None:  # noqa: ARG002 - the only one
        self.tool.turn_off(address, TOPIC)

    def requests(self) -> int:
        return self.tool.requests()


def _texted(events: Iterable[VendorEvent]) -> list[VendorEvent]:
    return [each for each in events if each.channel is Channel.SMS]
