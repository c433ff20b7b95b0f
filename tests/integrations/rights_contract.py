"""What a connector must do whose tool can be asked what the credentials may do there."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol, cast

from preference_center.integrations.base.contract import DeliveryError
from tests.integrations.contract import ANNA, Rig, off


class Rights(Protocol):
    """A tool with rights, as its administrator sees it."""

    def revoke(self) -> str:
        """Take a right to write from the credentials; returns how the tool names it."""
        ...


class RightsContract:
    """For connectors with `tells_rights`."""

    def test_check_names_the_rights_that_are_held(self, rig: Rig) -> None:
        report = rig.make().check()
        assert report.ok
        assert report.permissions
        assert all(right.is_granted for right in report.permissions if right.is_required)

    def test_a_right_to_write_that_is_missing_is_found_before_the_first_push(
        self, rig: Rig
    ) -> None:
        name = cast("Rights", rig.tool).revoke()
        report = rig.make().check()
        assert not report.ok
        (right, *_) = [
            each for each in report.permissions if each.is_required and not each.is_granted
        ]
        assert any(right.name in p and right.remedy in p for p in report.problems)
        assert any(name in problem for problem in report.problems)

    def test_a_push_needs_what_check_asks_about(self, rig: Rig) -> None:
        cast("Rights", rig.tool).revoke()
        with suppress(DeliveryError):
            rig.make().push([off(1, ANNA, "offers")])
        assert rig.tool.off(ANNA) == set()

    def test_no_right_is_tried(self, rig: Rig) -> None:  # I7
        rig.make().push([off(1, ANNA, "news")])
        calls = self.calls(rig)
        writes = set(calls[rig.requests_before_writing :])
        before = len(calls)
        rig.make().check()
        assert writes
        assert not writes & set(self.calls(rig)[before:])

    def calls(self, rig: Rig) -> list[object]:
        """What was asked of the tool, so that writes differ from the rest."""
        return list(rig.tool.server.seen)  # type: ignore[attr-defined]
