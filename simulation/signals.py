"""Whether a browser's signal that nothing may be shared is recorded (11 CCR 7025(c)(3))."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulation.oracle import Oracle
from simulation.people import SHARING, Form

CLOCKS_DIFFER = timedelta(seconds=15)
"""At most so much, between two web hosts."""


@dataclass(slots=True)
class Signals:
    """When the signal was first recorded for each form."""

    oracle: Oracle
    first: dict[Form, datetime] = field(default_factory=dict)

    def counts(self, form: Form, now: datetime) -> bool | None:
        """Not if it stands already, nor if a consent is newer than the first signal."""
        first = self.first.get(form)
        consents = [each.at for each in self.oracle.opt_ins[form] if each.scope == SHARING]
        if first and any(at > first + CLOCKS_DIFFER for at in consents):
            return False
        pending = self.oracle.has_none_of_its_own(form, SHARING, now)
        in_doubt = first and any(at > first - CLOCKS_DIFFER for at in consents)
        return None if pending and in_doubt else pending

    def note(self, form: Form, now: datetime) -> None:
        """It was recorded, or may have been."""
        self.first.setdefault(form, now)
