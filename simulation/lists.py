"""Lists that somebody uploads while people click, and undoes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.context import services
from preference_center.domain.imports import (
    ImportInstructions,
    LegalBasis,
    MeaningFilter,
    build_scope_map,
)
from preference_center.errors import ImportConflict
from preference_center.imports.budget import ImportBudget, Throttle
from preference_center.imports.undo import start_undo
from preference_center.imports.uploads import confirm_plan, continue_import, receive_upload
from preference_center.integrations.import_presets import get_preset
from preference_center.storage.db.database import Connection, run_autocommit, run_in_transaction
from preference_center.storage.imports import import_jobs
from preference_center.storage.imports.import_jobs import ImportState
from simulation.entry_points import ZONES
from simulation.oracle import OptOut, Oracle
from simulation.people import Form

ACTOR = "operator"
LONG_AGO = 3
"""Days within which a list's opt-outs were made, where it has dates."""
CLOCK_TRUSTED = timedelta(minutes=15)
"""How much later than its date an opt-out may count, if it was recorded by then."""


@dataclass(slots=True)
class Lists:
    """Imports by the act's number, and their opt-outs."""

    oracle: Oracle
    known: Callable[[Form, datetime], None]
    begun: dict[int, tuple[UUID, list[OptOut]]] = field(default_factory=dict)
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
            import_jobs.insert_import(
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
        planned = run_in_transaction(lambda c: import_jobs.get_import(c, import_id))
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
        self.begun[number], self._settled = (import_id, opt_outs), False
        return "confirmed"

    def undo(self, number: int) -> str:
        """Start the undo; workers do it afterwards."""
        if number not in self.begun:
            return "no such import"
        import_id, opt_outs = self.begun[number]
        try:
            start_undo(import_id, ACTOR)
        except ImportConflict as error:
            return str(error).split(":")[0]
        for opt_out in opt_outs:
            opt_out.gone = None
        self._settled = False
        return "undoing"

    def look(self) -> bool:
        """See which are done by now; whether any is still at work."""
        if self._settled:
            return False
        states = {found.id: found.state for found in run_autocommit(import_jobs.list_imports)}
        for import_id, opt_outs in self.begun.values():
            for opt_out in opt_outs:
                if states[import_id] is ImportState.APPLIED and not opt_out.sure:
                    opt_out.sure = True
                    self.known(opt_out.form, services().now())
                opt_out.gone = True if states[import_id] is ImportState.UNDONE else opt_out.gone
        self._settled = not any(state in import_jobs.UNFINISHED_STATES for state in states.values())
        return not self._settled
