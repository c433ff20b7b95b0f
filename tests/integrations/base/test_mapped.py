"""The template of connectors, with a tool in memory: what no vendor's own tests single out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    CREATE_CONTACTS,
    Capabilities,
    DeliveryError,
    DestinationConfig,
    PushOutcome,
    PushResult,
    RequestRejected,
    SupportedScope,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.mapped_connector import ReadableConnector
from preference_center.integrations.base.mapping import (
    ConnectorRules,
    LookupMode,
    OffState,
    RemoteContact,
    Target,
    TargetChange,
    TargetCheck,
)
from preference_center.integrations.base.push_results import MAX_REJECTIONS
from tests.integrations.contract import ANNA, BO, CY, lift, off, results

TOPICS = {"news": "11", "offers": "12"}
DONE = PushOutcome(PushResult.REFLECTED, "done")


@dataclass
class Tool:
    """Remembers which addresses each request named."""

    held: dict[str, dict[str, OffState]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    """Whose writes are not acknowledged."""
    bad: set[str] = field(default_factory=set)
    unlookable: set[str] = field(default_factory=set)
    written: list[Sequence[TargetChange]] = field(default_factory=list)
    looked_up: list[Sequence[str]] = field(default_factory=list)
    asked_about: list[set[str]] = field(default_factory=list)
    listed: int = 0
    refuses: int = 0
    """The status that every write is answered."""

    def know(self, *addresses: str) -> None:
        for address in addresses:
            self.held.setdefault(address, {})


class Vendor(ReadableConnector[Tool]):
    kind: ClassVar[str] = "vendor"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=1_000,
        can_read=True,
        can_create=True,
    )
    settings: ClassVar[Mapping[str, str]] = {}
    rules: ClassVar[ConnectorRules] = ConnectorRules(
        target_noun="list", credentials_hint="the key", group_size=2
    )

    def __init__(
        self, tool: Tool, rules: ConnectorRules, settings: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(DestinationConfig("v", settings or {}, TOPICS), HttpContext())
        self.tool = tool
        self.rules = rules  # type: ignore[misc] # a vendor's never change

    @contextmanager
    def open_client(self) -> Iterator[Tool]:
        yield self.tool

    def list_targets(self, client: Tool) -> Iterator[Target]:
        client.listed += 1
        for id_ in {*TOPICS.values()} - client.gone:
            yield Target(id_, id_)

    def write_changes(
        self, client: Tool, changes: Sequence[TargetChange]
    ) -> Mapping[int, PushOutcome]:
        client.written.append(changes)
        if any(change.off & client.gone for change in changes):
            raise RequestRejected("no such list", 404)
        if client.refuses:
            raise RequestRejected("no", client.refuses)
        if client.bad & {change.address for change in changes}:
            raise RequestRejected("no", 422)
        return {change.ref: DONE for change in changes if change.address not in client.silent}

    def fetch_contacts(
        self, client: Tool, addresses: Sequence[str], targets: Collection[str]
    ) -> Mapping[str, RemoteContact | None]:
        client.looked_up.append(addresses)
        client.asked_about.append(set(targets))
        if client.bad & set(addresses):
            raise RequestRejected("no", 400)
        return {
            address: RemoteContact(client.held[address]) if address in client.held else None
            for address in addresses
            if address not in client.unlookable
        }


@pytest.fixture
def tool() -> Tool:
    return Tool()


def written(tool: Tool) -> list[list[tuple[str, set[str], set[str]]]]:
    return [[(c.address, set(c.off), set(c.on)) for c in group] for group in tool.written]


WHOLE = Vendor.rules
BY_TARGET = replace(WHOLE, by_target=True)
LOOKED_UP = replace(WHOLE, lookups=LookupMode.ALL)


def test_changes_are_grouped_and_opt_outs_go_before_lifts(tool: Tool) -> None:
    both = replace(off(1, ANNA, "news"), lift=frozenset({"offers"}))
    Vendor(tool, WHOLE).push([lift(3, CY, "news"), both, off(2, BO, "news", "offers")])
    assert written(tool) == [
        [(ANNA, {"11"}, {"12"}), (BO, {"11", "12"}, set())],
        [(CY, set(), {"11"})],
    ]


def test_a_request_about_one_target_names_no_other(tool: Tool) -> None:
    both = replace(off(1, ANNA, "news"), lift=frozenset({"offers"}))
    found = Vendor(tool, BY_TARGET).push([both, off(2, BO, "news", "offers")])
    assert written(tool) == [
        [(ANNA, {"11"}, set()), (BO, {"11"}, set())],
        [(BO, {"12"}, set())],
        [(ANNA, set(), {"12"})],
    ]
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.REFLECTED}


def test_only_lifts_are_looked_up_where_the_tool_would_lift_too_much(tool: Tool) -> None:  # I5
    tool.held[BO] = {"11": OffState("complaint", can_lift=False)}
    tool.held[CY] = {"11": OffState("asked for")}
    batch = [off(1, ANNA, "news"), lift(2, BO, "news"), lift(3, CY, "news")]
    found = Vendor(tool, replace(BY_TARGET, lookups=LookupMode.LIFTS)).push(batch)
    assert tool.looked_up == [[BO, CY]]
    assert tool.asked_about == [{"11"}], "and only about what is to be lifted"
    assert written(tool) == [[(ANNA, {"11"}, set())], [(CY, set(), {"11"})]]
    assert results(found) == {
        1: PushResult.REFLECTED,
        2: PushResult.REFUSED,
        3: PushResult.REFLECTED,
    }
    assert found[2].ack == "complaint"


def test_more_lifts_than_end_inside_a_lease_wait_and_their_opt_outs_do_not(tool: Tool) -> None:
    both = replace(off(2, BO, "news"), lift=frozenset({"offers"}))
    found = Vendor(tool, replace(WHOLE, max_lifts=1)).push([lift(1, ANNA, "news"), both])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.RETRY_LATER}
    assert written(tool) == [[(BO, {"11"}, set()), (ANNA, set(), {"11"})]]


def test_who_is_looked_up_and_unknown_is_absent_and_not_written(tool: Tool) -> None:  # I13
    tool.know(ANNA)
    found = Vendor(tool, LOOKED_UP).push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.ABSENT}
    assert written(tool) == [[(ANNA, {"11"}, set())]]


def test_who_is_unknown_is_written_where_contacts_are_to_be_created(tool: Tool) -> None:
    found = Vendor(tool, LOOKED_UP, {CREATE_CONTACTS: "yes"}).push([off(1, ANNA, "news")])
    assert results(found) == {1: PushResult.REFLECTED}
    assert tool.written[0][0].contact is None


def test_nobody_is_created_to_be_mailed(tool: Tool) -> None:
    found = Vendor(tool, LOOKED_UP, {CREATE_CONTACTS: "yes"}).push([lift(1, ANNA, "news")])
    assert results(found) == {1: PushResult.ABSENT}
    assert tool.written == []


def test_what_is_off_already_is_not_written_again(tool: Tool) -> None:
    tool.held[ANNA] = {"11": OffState("asked for")}
    found = Vendor(tool, LOOKED_UP).push([off(1, ANNA, "news"), off(2, ANNA, "news", "offers")])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.REFLECTED}
    assert written(tool) == [[(ANNA, {"12"}, set())]]


def test_what_is_off_without_an_opt_out_is_written_all_the_same(tool: Tool) -> None:
    tool.held[ANNA] = {"11": OffState("default", is_opt_out=False)}
    connector = Vendor(tool, LOOKED_UP)
    assert connector.read([off(1, ANNA)]) == {1: frozenset()}
    assert connector.read([off(1, ANNA, "news")]) == {1: frozenset({"news"})}
    connector.push([off(1, ANNA, "news")])
    assert written(tool) == [[(ANNA, {"11"}, set())]]


def test_a_wider_switch_is_read_and_neither_relied_on_nor_lifted(tool: Tool) -> None:
    tool.held[ANNA] = {"11": OffState("all", is_exact=False), "12": OffState("all", is_exact=False)}
    connector = Vendor(tool, LOOKED_UP)
    assert connector.read([off(1, ANNA)]) == {1: frozenset(TOPICS)}
    both = replace(off(1, ANNA, "news"), lift=frozenset({"offers"}))
    assert results(connector.push([both])) == {1: PushResult.REFLECTED}
    assert written(tool) == [[(ANNA, {"11"}, set())]]


def test_a_lift_that_is_not_ours_does_not_hold_up_the_opt_out(tool: Tool) -> None:
    tool.held[ANNA] = {"12": OffState("complaint", can_lift=False)}
    both = replace(off(1, ANNA, "news"), lift=frozenset({"offers"}))
    found = Vendor(tool, LOOKED_UP).push([both])
    assert written(tool) == [[(ANNA, {"11"}, set())]]
    assert results(found) == {1: PushResult.REFUSED}


def test_who_can_not_be_looked_up_is_tried_again(tool: Tool) -> None:
    tool.know(ANNA, BO)
    tool.unlookable.add(BO)
    connector = Vendor(tool, LOOKED_UP)
    found = connector.push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.RETRY_LATER}
    assert connector.read([off(1, ANNA), off(2, BO)]) == {1: frozenset()}


def test_an_address_that_can_not_be_looked_up_is_refused_alone(tool: Tool) -> None:
    tool.know(ANNA)
    tool.bad.add(BO)
    connector = Vendor(tool, LOOKED_UP)
    found = connector.push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.REFUSED}
    assert connector.read([off(1, ANNA), off(2, BO)]) == {1: frozenset()}


def test_that_all_could_be_looked_up_does_not_excuse_that_nothing_was_written(tool: Tool) -> None:
    tool.know(ANNA, BO)
    tool.refuses = 400
    with pytest.raises(DeliveryError, match="the request itself"):
        Vendor(tool, LOOKED_UP).push([off(1, ANNA, "news"), off(2, BO, "news")])


@pytest.mark.parametrize("looks", LookupMode)
def test_what_is_not_acknowledged_is_tried_again(tool: Tool, looks: LookupMode) -> None:
    tool.know(ANNA, BO)
    tool.silent.add(BO)
    found = Vendor(tool, replace(WHOLE, lookups=looks)).push(
        [off(1, ANNA, "news"), off(2, BO, "news")]
    )
    assert results(found) == {1: PushResult.REFLECTED, 2: PushResult.RETRY_LATER}


def test_a_status_that_is_not_about_content_is_not_isolated(tool: Tool) -> None:
    tool.refuses = 404
    with pytest.raises(RequestRejected):
        Vendor(tool, WHOLE).push([off(1, ANNA, "news"), off(2, BO, "news")])
    assert len(tool.written) == 1


@pytest.mark.parametrize("target_check", [TargetCheck.ON_FAILURE, TargetCheck.ALWAYS])
def test_nobody_is_absent_from_a_target_that_is_gone(tool: Tool, target_check: TargetCheck) -> None:
    tool.gone.add("12")
    connector = Vendor(tool, replace(LOOKED_UP, target_check=target_check))
    with pytest.raises(DeliveryError, match="offers is mapped to no list") as caught:
        connector.push([off(1, ANNA, "offers")])
    assert caught.value.permanent
    assert tool.written == []


def test_a_target_that_is_gone_is_found_also_if_another_was_written_before(tool: Tool) -> None:
    tool.gone.add("12")
    batch = [off(1, ANNA, "news"), off(2, BO, "offers")]
    with pytest.raises(DeliveryError, match="offers is mapped to no list") as caught:
        Vendor(tool, BY_TARGET).push(batch)
    assert caught.value.permanent


@pytest.mark.parametrize("target_check", [TargetCheck.ON_REJECTION, TargetCheck.ON_FAILURE])
def test_a_target_that_the_tool_rejects_stops_the_destination(
    tool: Tool, target_check: TargetCheck
) -> None:
    tool.gone.add("12")
    with pytest.raises(DeliveryError, match="offers is mapped to no list") as caught:
        Vendor(tool, replace(WHOLE, target_check=target_check)).push([off(1, ANNA, "offers")])
    assert caught.value.permanent


@pytest.mark.parametrize("target_check", [TargetCheck.ON_REJECTION, TargetCheck.NEVER])
def test_targets_are_not_listed_for_an_address_that_is_unknown(
    tool: Tool, target_check: TargetCheck
) -> None:
    found = Vendor(tool, replace(LOOKED_UP, target_check=target_check)).push(
        [off(1, ANNA, "offers")]
    )
    assert results(found) == {1: PushResult.ABSENT}
    assert tool.listed == 0


def test_lifts_are_writes_of_their_own_where_the_tool_takes_fewer_of_them(tool: Tool) -> None:
    both = replace(off(1, ANNA, "news"), lift=frozenset({"offers"}))
    batch = [lift(2, BO, "news"), both, off(3, CY, "news", "offers")]
    Vendor(tool, replace(WHOLE, lift_group_size=1)).push(batch)
    assert written(tool) == [
        [(ANNA, {"11"}, set()), (CY, {"11", "12"}, set())],
        [(BO, set(), {"11"})],
        [(ANNA, set(), {"12"})],
    ]


def test_more_changes_than_end_inside_a_lease_wait_and_opt_outs_go_first(tool: Tool) -> None:
    batch = [lift(1, ANNA, "news"), off(2, BO, "news"), off(3, CY)]
    found = Vendor(tool, replace(WHOLE, max_changes=1)).push(batch)
    assert results(found) == {
        1: PushResult.DEFERRED,
        2: PushResult.REFLECTED,
        3: PushResult.REFLECTED,
    }


def test_targets_are_only_listed_in_doubt_or_where_the_tool_never_reports(tool: Tool) -> None:
    tool.know(ANNA)
    Vendor(tool, LOOKED_UP).push([off(1, ANNA, "news")])
    assert tool.listed == 0
    Vendor(tool, replace(LOOKED_UP, target_check=TargetCheck.ALWAYS)).push([off(1, BO, "news")])
    assert tool.listed == 1


def test_a_topic_that_the_batch_does_not_name_may_be_gone(tool: Tool) -> None:
    tool.gone.add("12")
    found = Vendor(tool, replace(WHOLE, target_check=TargetCheck.ALWAYS)).push(
        [off(1, ANNA, "news")]
    )
    assert results(found) == {1: PushResult.REFLECTED}


def test_a_tool_that_rejects_most_is_not_asked_for_ever(tool: Tool) -> None:
    tool.bad |= {f"p{n}@example.com" for n in range(1, 900)}
    batch = [off(n, f"p{n}@example.com", "news") for n in range(900)]
    found = results(Vendor(tool, replace(WHOLE, group_size=900)).push(batch))
    assert len(tool.written) <= MAX_REJECTIONS + 20
    assert found[0] is PushResult.REFLECTED
    assert PushResult.RETRY_LATER in found.values()


def test_a_lookup_about_each_target_counts_for_as_many(tool: Tool) -> None:
    tool.know(ANNA, BO, CY)
    by_target = replace(BY_TARGET, lookups=LookupMode.LIFTS, max_reads=3, max_lifts=3)
    batch = [lift(n, a, "news", "offers") for n, a in enumerate((ANNA, BO, CY))]
    found = Vendor(tool, by_target).push(batch)
    assert results(found) == {
        0: PushResult.REFLECTED,
        1: PushResult.DEFERRED,
        2: PushResult.DEFERRED,
    }
    assert Vendor(tool, by_target).read(batch) == {0: frozenset()}


def test_only_as_many_are_read_as_end_inside_a_lease(tool: Tool) -> None:
    tool.know(ANNA, BO, CY)
    found = Vendor(tool, replace(WHOLE, max_reads=2)).read([off(1, ANNA), off(2, BO), off(3, CY)])
    assert found == {1: frozenset(), 2: frozenset()}
