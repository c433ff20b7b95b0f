"""What `Connector.check` finds: problems, and what the credentials may do in the tool.

Permissions are asked for and never tried: to try one is to write (I7).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission, and whether the credentials have it, as the tool reports it.

    Without one that is `is_required` nothing may be sent to the destination; without another it
    works, but can't do its `purpose`.
    """

    name: str
    """The tool's own name of it."""
    purpose: str
    """What it is for, to follow "to": `turn topics off`."""
    is_granted: bool
    remedy: str
    """How to grant it."""
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found.

    `problems` forbid sending, each with its remedy; `unmapped_targets` are labels of targets in
    the tool that no topic maps to; `hints` are what it can't do as it is set up. `permissions`
    are what the credentials may do, if the tool can be asked: see `with_permissions`.
    """

    problems: tuple[str, ...] = ()
    unmapped_targets: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    permissions: tuple[Permission, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether anything may be sent to the destination."""
        return not self.problems

    def with_permissions(self, permissions: Iterable[Permission]) -> CheckReport:
        """The same with `permissions`; those that are missing become problems or hints."""
        found = tuple(permissions)
        missing = [permission for permission in found if not permission.is_granted]
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
