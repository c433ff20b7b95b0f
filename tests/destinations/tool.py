"""A stand-in tool for the sync loop: it remembers what is off, and misbehaves on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from preference_center.core.addresses import Channel
from preference_center.destinations.rules.states import Destination
from preference_center.integrations.base.contract import (
    Capabilities,
    CheckReport,
    PushItem,
    PushOutcome,
    PushResult,
    SupportedScope,
)

Hook = Callable[[Sequence[PushItem]], Mapping[int, PushOutcome] | None]


@dataclass
class Tool:
    """`off` is what the tool's own database contains: address -> topics that are off."""

    kind: ClassVar[str] = "tool"
    settings: ClassVar[Mapping[str, str]] = {}
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=100,
    )
    off: dict[str, set[str]] = field(default_factory=dict)
    pushes: list[list[PushItem]] = field(default_factory=list)
    before: Hook | None = None
    """Called with each batch first: may raise, or answer in the tool's place."""

    def connect(self, _: Destination, alive: Callable[[], bool]) -> Tool:
        """As the sync loop's `Connect`."""
        assert alive()
        return self

    def check(self) -> CheckReport:
        return CheckReport()

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        self.pushes.append(list(batch))
        answer = self.before(batch) if self.before else None
        if answer is not None:
            return answer
        self.apply(batch)
        return {item.ref: PushOutcome(PushResult.REFLECTED, "200") for item in batch}

    def apply(self, batch: Sequence[PushItem]) -> None:
        """Act on `batch`, as if asked."""
        for item in batch:
            off = self.off.setdefault(item.address, set())
            off |= item.off
            off -= item.lift
