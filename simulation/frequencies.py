"""How often people want a topic, and what senders are told of that (I9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from preference_center.core.events import Change, EventKind, FrequencyChoice
from preference_center.infra.context import services
from preference_center.ledger import record
from simulation.accounts import Accounts
from simulation.acts import Act
from simulation.entry_points import address
from simulation.oracle import Cause, Oracle
from simulation.people import OFFERS, Form, forms_of
from simulation.violation import Violation

OFFERED, DEFAULT = ("daily", "weekly", "monthly"), "weekly"
"""Of OFFERS, from most to least often, as the catalogue of the simulation has it."""


@dataclass(slots=True)
class Frequencies:
    """The act, by its name, and its check. `chosen` has the times of each form's choices."""

    oracle: Oracle
    learn: Callable[[Form, datetime], None]
    """Called with a form that the service knows."""
    accounts: Accounts
    chosen: defaultdict[Form, list[tuple[datetime, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def frequency(self, act: Act) -> str:
        """They choose on the preference page."""
        form, now = forms_of(act.who)[act.form], services().now()
        if form in self.accounts.erased:  # nothing is kept of an erased person
            return "erased"
        key = OFFERED[act.number % len(OFFERED)]
        change = Change(
            services().new_id(),
            EventKind.FREQUENCY_CHOSEN,
            address(form),
            OFFERS,
            occurred_at=now,
            received_at=now,
            source="page",
            actor="recipient",
            frequency=FrequencyChoice(key, OFFERED.index(key)),
        )
        record([change])
        self.chosen[form].append((now, key))
        self.learn(form, now)
        return key

    def check(self, form: Form, told: str | None) -> None:
        """A sender who may send OFFERS to this form is told how often."""
        # A correction of an address takes its choices along.
        if any(each.cause is Cause.MOVE for each in self.oracle.opt_outs[form.person]):
            return
        if told != (wanted := self.wanted(form)):
            raise Violation(f"I9: {form.text} wants {OFFERS} {wanted}, a sender is told {told}")

    def wanted(self, form: Form) -> str:
        """Its own choice; else the newest of another form of the mailbox, if that is less often."""
        if own := self._choices(form):
            return max(own)[1]
        others = [other for other in forms_of(form.person) if other != form and other.meets(form)]
        found = max([each for other in others for each in self._choices(other)], default=None)
        is_less_often = found and OFFERED.index(found[1]) > OFFERED.index(DEFAULT)
        return found[1] if found and is_less_often else DEFAULT

    def _choices(self, form: Form) -> list[tuple[datetime, str]]:
        """Those since it was last erased."""
        erased_at = self.accounts.erased_last.get(form)
        return [each for each in self.chosen[form] if erased_at is None or each[0] > erased_at]
