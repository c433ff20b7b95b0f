"""What a check found: how bad, what to mend, and whose rule it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Opt-outs get lost, or a large mailbox provider's demand is not met."""
    WARNING = "warning"
    """Works for most people only, or will not for long."""
    OK = "fine"
    """As it should be; told so that one sees what was looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them. `code` is stable, for scripts; `remedy` is empty where all is fine."""

    code: str
    severity: Severity
    message: str
    remedy: str = ""
    source: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def error(code: str, message: str, remedy: str, source: str) -> Finding:
    """An error."""
    return Finding(code, Severity.ERROR, message, remedy, source)


def warning(code: str, message: str, remedy: str, source: str) -> Finding:
    """A warning."""
    return Finding(code, Severity.WARNING, message, remedy, source)


def ok(code: str, message: str) -> Finding:
    """Something that is as it should be."""
    return Finding(code, Severity.OK, message)
