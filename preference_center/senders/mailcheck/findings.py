"""The findings of a check: severity, remedy, and the source of the rule."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    """The severity of a finding."""

    ERROR = "error"
    """Opt-outs are lost, or a requirement of a large mailbox provider is not met."""
    WARNING = "warning"
    """Works only for most people, or only for some time."""
    OK = "ok"
    """Correct; reported to show what was checked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `code` is stable, for scripts; `remedy` is empty where all is correct."""

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
    """A check that passed."""
    return Finding(code, Severity.OK, message)
