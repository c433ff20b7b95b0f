"""Lists that somebody uploads while people click, and undoes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.errors import ImportConflict
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.integrations.registry import get_preset
from preference_center.lists.imports.apply import ImportBudget, Throttle, start_undo
from preference_center.lists.imports.uploads import confirm_plan, continue_import, receive_upload
from preference_center.lists.rules.instructions import (
    ImportInstructions,
    LegalBasis,
    build_scope_map,
)
from preference_center.lists.store import (
    UNFINISHED_STATES,
    ImportState,
    get_import,
    insert_import,
    list_imports,
)
from simulation.entry_points import UNDO_PERIOD, ZONES
from simulation.oracle import Cause, OptOut, Oracle
from simulation.people import Form

ACTOR = "operator"
LONG_AGO = 3
"""Days within which a list's opt-outs were made, where it has dates."""
CLOCK_TRUSTED = timedelta(minutes=15)
"""How much later than its date an opt-out may count, if it was recorded by then."""


@dataclass(slots=True)
class Begun:
    """An import that was confirmed."""

    id: UUID
    opt_outs: list[OptOut]
    dated: bool
    applied: bool = False


@dataclass(slots=True)
class Lists:
    """Imports by the act's number, and their opt-outs."""

    oracle: Oracle
    known: Callable[[Form, datetime], None]
    begun: dict[int, Begun] = field(default_factory=dict)
    _settled: bool = True
    """Whether nothing has been at work since the last look."""

    def upload(self, number: int, forms: Sequence[Form], scope: str, only: MeaningFilter) -> str:
        """Upload, plan and confirm; workers apply it afterwards."""
        context, now = services(), services().now()
        import_id = context.new_id()
        given = ImportInstructions(
            get_preset("generic-list"),
            build_scope_map([("list", scope)]),
            meaning_filter=only,
            source="old shop",
            wording="Yes, please",
            language="en",
            legal_basis=LegalBasis.CONSENT,
        )
        # An opt-in without a date would count from before any opt-out.
        dated = only is MeaningFilter.SUBSCRIPTIONS or number % 2 == 1
        days = 0 if only is MeaningFilter.SUBSCRIPTIONS else LONG_AGO
        dates = [now - timedelta(hours=days * 24 * n / len(forms)) for n in range(len(forms))]
        zone = ZONES[number % len(ZONES)]
        rows = [
            f"{form.text},{at.astimezone(zone).isoformat() if dated else ''}\n"
            for form, at in zip(forms, dates, strict=True)
        ]
        text = "".join(["email,date\n", *rows])

        def add(connection: Connection) -> None:
            insert_import(
                connection,
                import_id,
                state=ImportState.AWAITING_FILE,
                actor=ACTOR,
                name="list.csv",
                instructions=given.to_json(),
                now=now,
            )

        run_in_transaction(add)
        receive_upload(import_id, [text.encode()])
        continue_import(
            import_id, ImportBudget(throttle=Throttle(), sleep=lambda _: None, clock=lambda: 0.0)
        )
        planned = run_in_transaction(lambda c: get_import(c, import_id))
        if planned.state is not ImportState.PLANNED:
            return f"{planned.state}: {planned.problem}"
        try:
            run_in_transaction(lambda c: confirm_plan(c, import_id, planned.plan, ACTOR))
        except ImportConflict:
            return "imported before"
        opt_outs = []
        if only is MeaningFilter.OPT_OUTS:
            for form, at in zip(forms, dates if dated else [now] * len(forms), strict=True):
                last = min(at + CLOCK_TRUSTED, now)
                opt_outs.append(
                    self.oracle.add_opt_out(OptOut(form, scope, at, last, now, sure=False))
                )
        else:
            self.oracle.listed |= {(form, scope) for form in forms}
        self.begun[number], self._settled = Begun(import_id, opt_outs, dated), False
        return "confirmed"

    def undo(self, number: int) -> str:
        """Start the undo; workers do it afterwards."""
        if number not in self.begun:
            return "no such import"
        begun = self.begun[number]
        try:
            start_undo(begun.id, ACTOR)
        except ImportConflict as error:
            return str(error).split(":")[0]
        for opt_out in begun.opt_outs:
            opt_out.gone = None
        self._settled = False
        return "undoing"

    def look(self) -> bool:
        """See which are done by now; whether any is still at work."""
        if self._settled:
            return False
        states = {found.id: found.state for found in run_autocommit(list_imports)}
        for begun in self.begun.values():
            if states[begun.id] is ImportState.APPLIED and not begun.applied:
                begun.applied = True
                for opt_out in begun.opt_outs:
                    opt_out.sure = begun.dated or not self._says_nothing_new(opt_out)
                    self.known(opt_out.form, services().now())
            if states[begun.id] is ImportState.UNDONE:
                for opt_out in begun.opt_outs:
                    opt_out.gone = True
        self._settled = not any(state in UNFINISHED_STATES for state in states.values())
        return not self._settled

    def _says_nothing_new(self, opt_out: OptOut) -> bool:
        """Whether a "no" without a date may be one that is known, however old.

        A correction's is nobody's, and what a page offers to undo may be gone soon.
        """
        now = services().now()
        return any(
            other.cause is not Cause.MOVE and not (other.own and now - other.first <= UNDO_PERIOD)
            for other in self.oracle.standing(opt_out.form, opt_out.scope, now)
            if other is not opt_out
        )
