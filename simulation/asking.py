"""Compares every request to a tool with the oracle, as of the time of its claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from preference_center.integrations.base.contract import EraseItem, PushItem
from simulation.excuses import Excuse
from simulation.oracle import Oracle
from simulation.people import START, Form
from simulation.tools import Tool
from simulation.violation import Violation


@dataclass(frozen=True, slots=True)
class Requests:
    """What tools are asked for."""

    oracle: Oracle
    forms: Mapping[str, Form]
    excused: Counter[str]

    def check(self, tool: Tool, batch: Sequence[PushItem], claimed_at: datetime) -> None:
        """No lift against a known active opt-out, or without consent; no off without an opt-out."""
        for item in batch:
            form = self.forms[item.address]
            if self.oracle.changed.get(form.person, START) > claimed_at:
                self.excused[Excuse.ACTED_MEANWHILE] += 1
                continue
            for topic in sorted(item.lift):
                self._hold(tool, form, topic, claimed_at, on=True)
            for topic in sorted(item.off):
                self._hold(tool, form, topic, claimed_at, on=False)

    def check_erasure(self, tool: Tool, batch: Sequence[EraseItem]) -> None:
        """It has turned off first what it would forget with the person (I6)."""
        for item in batch:
            form = self.forms[item.address]
            for topic in sorted(tool.topics):
                must = self.oracle.must_be_off(form, topic, tool.clock(), pauses=False)
                if must and tool.has_on(item.address, topic) and not _by_itself(tool, item, topic):
                    raise Violation(
                        f"I6: {tool.name} is asked to erase {form.text} while it mails about"
                        f" {topic}"
                    )

    def _hold(self, tool: Tool, form: Form, topic: str, claimed_at: datetime, *, on: bool) -> None:
        pauses = tool.profile.capabilities.can_lift
        # A pause may have ended since.
        found = {
            self.oracle.must_be_off(form, topic, at, pauses=pauses)
            for at in (claimed_at, tool.clock())
        }
        if on and self.oracle.is_reported_since(form, topic, tool.name, claimed_at):
            raise Violation(
                f"I5: {tool.name} is asked to lift what it has reported since: {form.text} about"
                f" {topic}"
            )
        if on and self.oracle.has_consent(form, topic, claimed_at) is False:
            raise Violation(
                f"I11: {tool.name} is asked to lift without the consent that it needs: {form.text}"
                f" about {topic}"
            )
        if found == {on}:
            what = "to lift, against an opt-out" if on else "to turn off, without any opt-out"
            raise Violation(f"I5: {tool.name} is asked {what}: {form.text} about {topic}")
        if None in found:
            self.excused[Excuse.UNSURE] += 1


def _by_itself(tool: Tool, item: EraseItem, topic: str) -> bool:
    """Whether it confirmed and did not act, or has turned it on or gained the contact since."""
    asked = tool.asked_off.get((item.address, topic))
    if asked is None:
        return False
    since = max(tool.own_since.get((item.address, topic), START), tool.contacts[item.address])
    return item.address in tool.forgot or since >= asked
