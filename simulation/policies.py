"""A version of the privacy policy is announced: each person is selected once, and stays so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from preference_center.contacts.notices.select import select_all
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from simulation.acts import Act
from simulation.crew import Mishap
from simulation.entry_points import address
from simulation.oracle import Cause
from simulation.people import Form
from simulation.rights import Rights
from simulation.violation import Violation

VERSION = "new"
"""As `simulation/catalogue.toml` has it."""
_NOTICES = """
SELECT a.digest, n.selected_at FROM policy_notice n JOIN address a ON a.id = n.address_id
"""


@dataclass(frozen=True, slots=True)
class Policies:
    """The act, by its name, and its checks."""

    rights: Rights
    known: Mapping[Form, datetime]

    def announce(self, act: Act) -> str:
        """It may be killed at any step, and is begun again."""
        self.rights.crew.cut_off(Mishap("killed", act.number), "announce", _select)
        _select()
        found = self._notices()
        for form in self._people():
            if len(found[form]) != 1:
                raise Violation(f"{form.text} is selected {len(found[form])} times for a notice")
        self.check()
        return f"{sum(map(len, found.values()))} notices"

    def check(self) -> None:
        """None of before an erasure is left (I6)."""
        for form, selected in self._notices().items():
            erased_at = self.rights.accounts.erased_last.get(form)
            if erased_at and any(at <= erased_at for at in selected):
                raise Violation(f"I6: a notice to {form.text} of before the erasure is left")

    def _people(self) -> list[Form]:
        """Those with one address, of whom it is certain that they have to be informed."""
        accounts, oracle, now = self.rights.accounts, self.rights.oracle, services().now()
        return [
            form
            for form in self.known
            if form not in accounts.erased
            and accounts.of(form) == [form]
            and oracle.closed(form, now) is False
            and not any(each.cause is Cause.MOVE for each in oracle.opt_outs[form.person])
            and (accounts.has(form) or oracle.opt_ins[form])
        ]

    def _notices(self) -> dict[Form, list[datetime]]:
        """When each form was selected."""
        exact_digest = services().keys.exact_digest
        forms = {exact_digest(address(form)): form for form in self.known}
        found: dict[Form, list[datetime]] = {form: [] for form in self.known}
        for digest, at in run_autocommit(lambda c: c.execute(_NOTICES).fetchall()):
            if digest in forms:
                found[forms[digest]].append(at)
        return found


def _select() -> None:
    select_all(VERSION, lambda _: None)
