"""People correct their address, to one of another mailbox or another form, and take that back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.rights.requests.correct import move_address, undo_move
from simulation.accounts import Accounts
from simulation.acts import Act
from simulation.crew import Crew, Mishap
from simulation.entry_points import address, origin
from simulation.ground import Clock
from simulation.moves import Move
from simulation.oracle import Oracle
from simulation.people import RESTRICTION, Form, forms_of
from simulation.rights import APART, KILLED, STEPS
from simulation.violation import Violation


@dataclass(slots=True)
class Corrected:
    """One correction: the service's id, what it changed, and the contact that it linked."""

    id: UUID
    move: Move
    contact: set[Form] | None = None


@dataclass(slots=True)
class Corrections:
    """Acts by their names; each returns its outcome, for the trace."""

    clock: Clock
    oracle: Oracle
    crew: Crew
    learn: Callable[[Form, datetime], None]
    """Called with a form that the service knows."""
    accounts: Accounts
    made: dict[tuple[int, int], Corrected] = field(default_factory=dict)
    """By the person and the act's number, which others have, too."""

    def move(self, act: Act) -> str:
        """A process may die at any step; then they ask again."""
        [(_, number)] = act.many
        old, new = forms_of(act.who)[act.form], forms_of(act.who)[number]
        refusal, ids = self._refusal(old, new), list[UUID]()
        self.clock.sleep(APART)

        def work() -> None:
            ids.append(move_address(address(old), address(new), origin=origin()).id)

        try:
            if act.number % KILLED == 0:
                mishap = Mishap("killed", 1 + act.number // KILLED % STEPS)
                self.crew.cut_off(mishap, "move", work)
            work()
        except InvalidInput:
            if not refusal:
                raise
            return refusal
        if refusal:
            raise Violation(f"I6, I9: {old.text} is corrected to {new.text}: {refusal}")
        self._expect_moved((act.who, act.number), ids[-1], old, new)
        self.clock.sleep(APART)
        return f"to {new.text}"

    def undo_move(self, act: Act) -> str:
        """Anyone who has the old mailbox says that it was not them."""
        found = self.made.get((act.who, act.number))
        if found is None:
            return "not moved"
        self.clock.sleep(APART)
        undo_move(found.id, origin=origin())
        self.made = {of: each for of, each in self.made.items() if each.id != found.id}
        found.move.undo()
        self.oracle.unlinked[found.move.new] = services().now()
        if found.contact is not None:
            found.move.undo_closings()
            self.accounts.leave(found.move.new, found.contact)
        self._count_restricted(found.move.new)
        self.clock.sleep(APART)
        return f"not to {found.move.new.text}"

    def _refusal(self, old: Form, new: Form) -> str:
        if self.accounts.erased.keys() & {old, new}:
            return "one of them is erased"
        return "" if self.accounts.may_link(old, new) else "each has a contact"

    def _expect_moved(self, asked: tuple[int, int], move_id: UUID, old: Form, new: Form) -> None:
        now = services().now()
        found = next((each for each in self.made.values() if each.id == move_id), None)
        if found is None:
            move = Move(self.oracle, old, new, now)
            move.record()
            found = Corrected(move_id, move)
        else:
            found.move.repeat(now)
        # The old address may have a contact only by now, which a repeat links.
        found.contact = self.accounts.link(old, new) or found.contact
        self.made[asked] = found
        self._count_restricted(new)
        for form in (old, new):
            self.learn(form, now)

    def _count_restricted(self, form: Form) -> None:
        self.accounts.restricted.discard(form)
        if any(
            opt_out.form == form and opt_out.scope == RESTRICTION and opt_out.gone is not True
            for opt_out in self.oracle.opt_outs[form.person]
        ):
            self.accounts.restricted.add(form)
