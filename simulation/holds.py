"""Legal holds: whoever is under one is not erased."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from preference_center.infra.context import services
from preference_center.rights import holds
from simulation.accounts import Accounts
from simulation.acts import Act
from simulation.entry_points import address
from simulation.people import EVER, Form, forms_of

ENDS_BY_ITSELF = 2
"""One in so many holds has an end of its own."""
LASTS = timedelta(days=1)


@dataclass(slots=True)
class Holds:
    """Acts by their names; each returns its outcome, for the trace."""

    learn: Callable[[Form, datetime], None]
    """Called with a form that the service knows."""
    accounts: Accounts
    ends: dict[str, dict[Form, datetime]] = field(default_factory=dict)
    """By case, who is held, and until when."""

    def hold(self, act: Act) -> str:
        """Exactly this address is held, and those of its contact."""
        form, now = forms_of(act.who)[act.form], services().now()
        forms = self.accounts.of(form)
        if self.accounts.erased.keys() & set(forms):
            return "erased"
        end = now + LASTS if act.number % ENDS_BY_ITSELF == 0 else None
        holds.place_hold(address(form), _case(act), "a lawsuit", "operator", end)
        self.ends.setdefault(_case(act), {}).update(dict.fromkeys(forms, end or EVER))
        self.learn(form, now)
        return f"until {end:%d %H:%M}" if end else "until it is ended"

    def end_hold(self, act: Act) -> str:
        """Somebody else ends the case."""
        holds.end_hold(_case(act), "lawyer")
        return "ended" if self.ends.pop(_case(act), None) else "no such case"

    def hold_any(self, forms: Iterable[Form]) -> bool:
        """Whether one of these is held now."""
        now, asked = services().now(), set(forms)
        return any(
            form in asked and end > now for case in self.ends.values() for form, end in case.items()
        )


def _case(act: Act) -> str:
    return f"case-{act.number}"
