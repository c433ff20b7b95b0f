"""What a connector must do whose tool holds each topic in a target of its own (I10)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, cast

import pytest

from preference_center.integrations.base.contract import SupportsRead, UnsupportedByDestination
from preference_center.integrations.registry import get_spec
from tests.integrations.contract import ANNA, BO, CY, Rig, off


class MappedContract:
    """For connectors that hold each topic in a target of its own."""

    target: ClassVar[str] = "11"
    missing: ClassVar[str] = "13"
    unmapped: ClassVar[tuple[str, ...]] = ("Events (99)",)
    refusal: ClassVar[str] = "401"
    """How the tool answers to bad credentials."""

    def test_a_topic_that_is_not_mapped_is_refused_before_anything_is_sent(
        self, rig: Rig
    ) -> None:  # I10
        with pytest.raises(UnsupportedByDestination, match="events"):
            rig.make().push([off(1, ANNA, "news"), off(2, BO, "events")])
        assert rig.tool.requests() == 0

    def test_two_topics_on_one_target_are_refused_with_the_remedy(self, rig: Rig) -> None:  # I10
        shared = replace(rig.setup, topics={"news": self.target, "offers": self.target})
        problems = replace(rig, setup=shared).make().check().problems
        assert any("news, offers share" in p and "make a" in p for p in problems)

    @pytest.mark.parametrize("target", ["global", "0", "-1", "", "11abc", "١١"])
    def test_a_switch_for_everything_is_no_topics_place(self, rig: Rig, target: str) -> None:  # F2
        mapped = replace(rig.setup, topics={"news": target})
        assert not replace(rig, setup=mapped).make().check().ok

    def test_no_topics_at_all_are_refused(self, rig: Rig) -> None:
        assert not replace(rig, setup=replace(rig.setup, topics={})).make().check().ok

    def test_check_names_what_no_topic_maps_to(self, rig: Rig) -> None:
        assert rig.make().check().unmapped_targets == self.unmapped

    def test_check_reports_bad_credentials(self, rig: Rig) -> None:
        secrets = dict.fromkeys(get_spec(rig.kind).secret_settings, "wrong")
        wrong = replace(rig.setup, settings={**rig.setup.settings, **secrets})
        (problem,) = replace(rig, setup=wrong).make().check().problems
        assert self.refusal in problem

    def test_a_mapped_target_that_is_missing_is_reported(self, rig: Rig) -> None:
        mapped = replace(rig.setup, topics={"news": self.target, "offers": self.missing})
        assert any(self.missing in p for p in replace(rig, setup=mapped).make().check().problems)

    def test_reading_back_tells_what_is_off_and_changes_nothing(self, rig: Rig) -> None:  # I7
        if not get_spec(rig.kind).capabilities.can_read:
            return
        connector = rig.make()
        connector.push([off(1, ANNA, "news"), off(2, BO, "news", "offers")])
        found = cast("SupportsRead", connector).read([off(1, ANNA), off(2, BO), off(3, CY)])
        assert found == {
            1: frozenset({"news"}),
            2: frozenset({"news", "offers"}),
            3: frozenset(),
        }
        assert rig.tool.off(CY) == set()
        assert cast("SupportsRead", connector).read([]) == {}
