"""What reading a destination found, as counts."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class VerificationStats:
    """Counts of one page, one batch or one destination; they can be added up."""

    contacts: int = 0
    """Contacts that a scan listed."""
    reported: int = 0
    """Events that the tool reported, echoes of our own pushes included."""
    recorded: int = 0
    """Of those, the new ones, which became events of the ledger."""
    unmapped: int = 0
    """Events about targets that no topic maps to: not recorded."""
    unreadable: int = 0
    """Contacts and events whose address can't be parsed."""
    newly_suppressed: int = 0
    """Contacts that should have been suppressed there and were not yet."""
    checked: int = 0
    """Addresses that were read back."""
    drift: int = 0
    """Opt-outs that the tool had confirmed and no longer had; they are pushed again."""
    links_written: int = 0
    """Permanent links written into contacts."""

    def __add__(self, other: VerificationStats) -> VerificationStats:
        return VerificationStats(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(VerificationStats))
        )
