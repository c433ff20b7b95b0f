"""What `Connector.check` finds: faults, and what the credentials may do in the tool.

Rights are asked for and never tried: to try one is to write (I7).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Right:
    """One right, and whether the credentials have it, by the tool's own word.

    Without one that is `needed` the destination may not be sent to; without another it
    works, but can't do what `use` says.
    """

    name: str
    """As the tool names it, so that it can be found there."""
    use: str
    """What it is for, to go behind "to": `turn topics off`."""
    held: bool
    remedy: str
    """How to grant it."""
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """What `check` found.

    `problems` are faults that forbid sending, each with its remedy; `unmapped` names
    targets in the tool that no topic maps to; `hints` are what it can't do as it is set up.
    `rights` are what the credentials may do, if the tool can be asked: see `with_rights`.
    """

    problems: tuple[str, ...] = ()
    unmapped: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    rights: tuple[Right, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the destination may be sent to."""
        return not self.problems

    def with_rights(self, rights: Iterable[Right]) -> Report:
        """The same with `rights`; those that are missing become problems or hints."""
        found = tuple(rights)
        missing = [right for right in found if not right.held]
        problems = [
            f"the right {right.name} is missing, needed to {right.use}: {right.remedy}"
            for right in missing
            if right.needed
        ]
        hints = [
            f"the right {right.name} is missing, so it can't {right.use}: {right.remedy}"
            for right in missing
            if not right.needed
        ]
        return replace(
            self,
            problems=(*self.problems, *problems),
            hints=(*self.hints, *hints),
            rights=(*self.rights, *found),
        )
