"""What `Connector.check` finds: faults, and what the credentials may do in the tool.

Rights are asked for and never tried: to try one is to write (I7).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Permission:
    """One right, and whether the credentials have it, by the tool's own word.

    Without one that is `needed` the destination may not be sent to; without another it
    works, but can't do what `use` says.
    """

    name: str
    """As the tool names it, so that it can be found there."""
    purpose: str
    """What it is for, to go behind "to": `turn topics off`."""
    is_granted: bool
    remedy: str
    """How to grant it."""
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found.

    `problems` are faults that forbid sending, each with its remedy; `unmapped` names
    targets in the tool that no topic maps to; `hints` are what it can't do as it is set up.
    `rights` are what the credentials may do, if the tool can be asked: see `with_rights`.
    """

    problems: tuple[str, ...] = ()
    unmapped_targets: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    permissions: tuple[Permission, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the destination may be sent to."""
        return not self.problems

    def with_permissions(self, permissions: Iterable[Permission]) -> CheckReport:
        """The same with `rights`; those that are missing become problems or hints."""
        found = tuple(permissions)
        missing = [right for right in found if not right.is_granted]
        problems = [
            f"the right {right.name} is missing, needed to {right.purpose}: {right.remedy}"
            for right in missing
            if right.is_required
        ]
        hints = [
            f"the right {right.name} is missing, so it can't {right.purpose}: {right.remedy}"
            for right in missing
            if not right.is_required
        ]
        return replace(
            self,
            problems=(*self.problems, *problems),
            hints=(*self.hints, *hints),
            permissions=(*self.permissions, *found),
        )
