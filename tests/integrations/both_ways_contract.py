"""What a connector must do that reads its tool: back, by scanning, by pulling (I13).

Each class goes with a capability; a connector's test class inherits those that fit. Its
tool has, besides `contract.Tool`, the hands of `Contacts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Protocol, cast

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    CREATE_CONTACTS,
    ContactPage,
    ContactSnapshot,
    DeliveryError,
    FieldItem,
    ListingMode,
    PushItem,
    PushResult,
    SupportsContactFields,
    SupportsPull,
    SupportsRead,
    SupportsScan,
    SupportsScanBackfill,
)
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.registry import get_spec
from tests.integrations.contract import ANNA, BO, CY, ODD, Rig, lift, off, results
from tests.integrations.rig import field_of
from tests.integrations.tools.stand_in import Fault

LINK = "https://choices.example.com/p/token"


class Contacts(Protocol):
    """A tool with contacts, as somebody else than us uses it."""

    def add(self, address: str) -> None:
        """Make a contact, or change one."""
        ...

    def has(self, address: str) -> bool:
        """Whether there is a contact of this address."""
        ...

    def link(self, address: str) -> str | None:
        """What stands in the contact's field for links."""
        ...


class Leavers(Protocol):
    """A tool that people leave as a whole."""

    def leave(self, address: str) -> None: ...

    def has_left(self, address: str) -> bool: ...


def with_settings(rig: Rig, **settings: str) -> Rig:
    """The same tool, set up differently."""
    return replace(rig, setup=replace(rig.setup, settings={**rig.setup.settings, **settings}))


def hands(rig: Rig) -> Contacts:
    return cast("Contacts", rig.tool)


def whole(
    listing: Callable[[str | None], ContactPage[Any]], cursor: str | None = None
) -> tuple[list[Any], str | None]:
    """All rows from `cursor` on, and the cursor to go on from later."""
    rows: list[Any] = []
    for _ in range(1000):
        page = listing(cursor)
        rows += page.rows
        cursor = page.cursor
        assert cursor is None or ("@" not in cursor and len(cursor) <= 2000)  # I12
        if page.done:
            return rows, cursor
        assert cursor is not None, "a page that is not the last has a cursor"
    raise AssertionError("the listing has no end")


class ReadContract:
    """For connectors with `can_read`."""

    def test_what_was_pushed_can_be_read_back(self, rig: Rig) -> None:
        self.prepare(rig, ANNA, BO)
        connector = rig.make()
        connector.push([off(1, ANNA, "news"), off(2, BO, "news", "offers")])
        found = cast("SupportsRead", connector).read([off(1, ANNA), off(2, BO)])
        assert found == {1: frozenset({"news"}), 2: frozenset({"news", "offers"})}
        assert cast("SupportsRead", connector).read([]) == {}

    def test_another_hands_opt_out_is_read_too(self, rig: Rig) -> None:  # I13
        self.prepare(rig, CY)
        rig.tool.turn_off(CY, "offers")
        assert cast("SupportsRead", rig.make()).read([off(3, CY)]) == {3: frozenset({"offers"})}

    @pytest.mark.parametrize("address", ODD)
    def test_unusual_addresses_are_read_back(self, rig: Rig, address: str) -> None:
        self.prepare(rig, address)
        connector = rig.make()
        connector.push([off(1, address, "news")])
        assert cast("SupportsRead", connector).read([off(1, address)]) == {1: frozenset({"news"})}

    def prepare(self, rig: Rig, *addresses: str) -> None:
        """Make contacts of these, in a tool that has such."""
        if hasattr(rig.tool, "add"):
            for address in addresses:
                hands(rig).add(address)


class ScanContract:
    """For connectors with `scans`."""

    def test_every_contact_is_found_over_as_many_pages_as_it_takes(self, rig: Rig) -> None:
        everybody = {f"p{n}@example.com" for n in range(230)} | set(ODD)
        for address in everybody:
            hands(rig).add(address)
        seen, _ = whole(cast("SupportsScan", rig.make()).scan)
        assert {contact.address for contact in seen} == everybody

    def test_a_contact_that_comes_later_is_found_later(self, rig: Rig) -> None:  # I13
        hands(rig).add(ANNA)
        connector = cast("SupportsScan", rig.make())
        _, cursor = whole(connector.scan)
        if get_spec(rig.kind).capabilities.scans is ListingMode.FULL:
            assert cursor is None, "the last cursor of a sweep"
        hands(rig).add(BO)
        seen, _ = whole(connector.scan, cursor)
        assert BO in {contact.address for contact in seen}

    def test_scanning_changes_nothing(self, rig: Rig) -> None:  # I7
        hands(rig).add(ANNA)
        whole(cast("SupportsScan", rig.make()).scan)
        assert rig.tool.off(ANNA) == set()

    def test_a_scan_that_failed_goes_on_where_it_was(self, rig: Rig) -> None:
        hands(rig).add(ANNA)
        rig.tool.server.fail(Fault(503))  # type: ignore[attr-defined]
        with pytest.raises(DeliveryError) as caught:
            cast("SupportsScan", rig.make()).scan(None)
        assert not caught.value.permanent
        seen, _ = whole(cast("SupportsScan", rig.make()).scan)
        assert ANNA in {contact.address for contact in seen}


class BackfillContract:
    """For connectors with `backfills_by_scan`."""

    def test_those_on_a_page_are_brought_to_their_state_as_many_as_it_shows(self, rig: Rig) -> None:
        capabilities = get_spec(rig.kind).capabilities
        assert capabilities.scans is ListingMode.FULL, "each pass shows all there are"
        everybody = [f"p{n}@example.com" for n in range(capabilities.batch_size + 5)]
        for address in everybody:
            hands(rig).add(address)
        rig.tool.turn_off(everybody[0], "news")
        batch = self.shown(rig, everybody)
        outcomes = results(cast("SupportsScanBackfill", rig.make()).push_scanned(batch))
        assert outcomes.pop(0) is PushResult.REFLECTED
        assert set(outcomes.values()) <= {PushResult.RETRY_LATER, PushResult.REFLECTED}
        for number, address in enumerate(everybody):
            if outcomes.get(number) is PushResult.REFLECTED:
                assert "news" in rig.tool.off(address)

    def shown(self, rig: Rig, addresses: Sequence[str]) -> list[tuple[PushItem, ContactSnapshot]]:
        """An item for each, with how the listing shows it."""
        seen = {row.address: row for row in whole(cast("SupportsScan", rig.make()).scan)[0]}
        return [(off(n, address, "news"), seen[address]) for n, address in enumerate(addresses)]


class PullContract:
    """For connectors with `pulls`."""

    def leave(self, rig: Rig, address: str, topic: str) -> None:
        """What a person does in the tool, so that it is listed."""
        rig.tool.turn_off(address, topic)

    def has_left(self, rig: Rig, address: str, topic: str) -> bool:
        """Whether the tool still has it so."""
        return topic in rig.tool.off(address)

    def about(self, rig: Rig, topic: str) -> str | None:
        """The target of its event."""
        return rig.setup.topics[topic]

    def test_an_opt_out_made_in_the_tool_is_pulled(self, rig: Rig) -> None:  # I13
        self.leave(rig, ANNA, "news")
        self.leave(rig, BO, "offers")
        events = self.pulled(rig)
        assert {(n.address, n.target) for n in events} == {
            (ANNA, self.about(rig, "news")),
            (BO, self.about(rig, "offers")),
        }
        assert {n.kind for n in events} == {VendorEventKind.OPTED_OUT}

    def test_one_that_is_made_later_is_found_later(self, rig: Rig) -> None:
        self.leave(rig, ANNA, "news")
        connector = cast("SupportsPull", rig.make())
        _, cursor = whole(connector.pull)
        self.leave(rig, CY, "news")
        events, _ = whole(connector.pull, cursor)
        assert CY in {n.address for n in events}

    def test_all_are_found_over_as_many_pages_as_it_takes(self, rig: Rig) -> None:
        everybody = {f"p{n}@example.com" for n in range(230)} | set(ODD)
        for address in everybody:
            self.leave(rig, address, "news")
        assert {n.address for n in self.pulled(rig)} == everybody

    def test_what_a_person_chose_in_the_tool_is_never_undone(self, rig: Rig) -> None:  # I13
        self.leave(rig, ANNA, "news")
        self.pulled(rig)
        connector = rig.make()
        connector.push([off(1, ANNA, "offers")])
        if get_spec(rig.kind).capabilities.can_lift:
            connector.push([lift(1, ANNA, "offers")])
        assert self.has_left(rig, ANNA, "news")

    def pulled(self, rig: Rig) -> list[VendorEvent]:
        return whole(cast("SupportsPull", rig.make()).pull)[0]


class WholePullContract(PullContract):
    """For those of them that list only who left everything; their tools have `Leavers`."""

    whole: ClassVar[str | None] = None

    def leave(self, rig: Rig, address: str, topic: str) -> None:  # noqa: ARG002 - all of them
        cast("Leavers", rig.tool).leave(address)

    def has_left(self, rig: Rig, address: str, topic: str) -> bool:  # noqa: ARG002 - all of them
        return cast("Leavers", rig.tool).has_left(address)

    def about(self, rig: Rig, topic: str) -> str | None:  # noqa: ARG002 - all of them
        return self.whole


class FieldContract:
    """For connectors with `can_write_fields`; the rig's settings name a field."""

    def test_a_contact_gets_its_link(self, rig: Rig) -> None:
        hands(rig).add(ANNA)
        connector = cast("SupportsContactFields", rig.make())
        for _ in range(2):
            outcomes = connector.write_field(
                field_of(rig), [FieldItem(1, ANNA, Channel.EMAIL, LINK)]
            )
            assert results(outcomes) == {1: PushResult.REFLECTED}
            assert hands(rig).link(ANNA) == LINK

    def test_a_link_is_removed_before_the_person_is_erased(self, rig: Rig) -> None:
        hands(rig).add(ANNA)
        connector = cast("SupportsContactFields", rig.make())
        connector.write_field(field_of(rig), [FieldItem(1, ANNA, Channel.EMAIL, LINK)])
        outcomes = connector.write_field(field_of(rig), [FieldItem(1, ANNA, Channel.EMAIL, "")])
        assert results(outcomes) == {1: PushResult.REFLECTED}
        assert hands(rig).link(ANNA) in {"", None}

    def test_a_field_holds_what_was_written_last(self, rig: Rig) -> None:
        hands(rig).add(ANNA)
        connector = cast("SupportsContactFields", rig.make())
        for value in ("weekly", "monthly"):
            outcomes = connector.write_field(
                field_of(rig), [FieldItem(1, ANNA, Channel.EMAIL, value)]
            )
            assert results(outcomes) == {1: PushResult.REFLECTED}
            assert hands(rig).link(ANNA) == value

    def test_no_contact_is_made_for_a_link(self, rig: Rig) -> None:
        hands(rig).add(ANNA)
        items = [FieldItem(1, ANNA, Channel.EMAIL, LINK), FieldItem(2, BO, Channel.EMAIL, LINK)]
        outcomes = cast("SupportsContactFields", rig.make()).write_field(field_of(rig), items)
        assert results(outcomes) == {1: PushResult.REFLECTED, 2: PushResult.ABSENT}
        assert not hands(rig).has(BO)


class NobodyCreatedContract:
    """For connectors of tools with contacts: unless it is asked for, nothing adds one.

    A contact that is made of an opt-out is one that the tool may mail, and bills for.
    """

    def test_nothing_that_is_done_about_a_stranger_creates_them(self, rig: Rig) -> None:  # I13
        connector, can = rig.make(), get_spec(rig.kind).capabilities
        connector.check()
        for item in (
            off(1, BO, "news", "offers"),
            replace(off(1, BO, *rig.setup.topics), all_off=True),
            *([lift(1, BO, "news")] if can.can_lift else ()),
            *([replace(off(1, BO, "news"), lift=frozenset({"offers"}))] if can.can_lift else ()),
        ):
            connector.push([item])
            assert not hands(rig).has(BO)
        if can.can_read:
            cast("SupportsRead", connector).read([off(1, BO, "news")])
        if can.can_write_fields:
            cast("SupportsContactFields", connector).write_field(
                field_of(rig), [FieldItem(1, BO, Channel.EMAIL, LINK)]
            )
        if can.can_scan:
            assert BO not in {
                seen.address for seen in whole(cast("SupportsScan", connector).scan)[0]
            }
        if can.can_pull:
            whole(cast("SupportsPull", connector).pull)
        assert not hands(rig).has(BO)


class AbsentContract(NobodyCreatedContract):
    """For tools that mail only who is in their list of contacts."""

    def test_who_is_not_there_is_absent_and_not_created(self, rig: Rig) -> None:
        hands(rig).add(ANNA)
        outcomes = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
        assert results(outcomes) == {1: PushResult.REFLECTED, 2: PushResult.ABSENT}
        assert not hands(rig).has(BO)
        assert rig.tool.off(ANNA) == {"news"}

    def test_who_is_not_there_is_created_where_asked_for(self, rig: Rig) -> None:
        if not get_spec(rig.kind).capabilities.can_create:
            assert f"{CREATE_CONTACTS}?" not in get_spec(rig.kind).settings
            return
        rig = with_settings(rig, **{CREATE_CONTACTS: "yes"})
        assert results(rig.make().push([off(1, BO, "news")])) == {1: PushResult.REFLECTED}
        assert hands(rig).has(BO)
        assert "news" in rig.tool.off(BO)

    def test_who_is_not_there_reads_as_absent(self, rig: Rig) -> None:
        if get_spec(rig.kind).capabilities.can_read:
            assert cast("SupportsRead", rig.make()).read([off(1, BO)]) == {1: None}
