"""What the correction of an address changes, by the rules alone. Knows nothing of the service."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from simulation.oracle import Cause, OptIn, OptOut, Oracle
from simulation.people import ALL, BOUNCED, EVERYTHING, RESTRICTION, Form


@dataclass(slots=True)
class Move:
    """A person has `new` instead of `old`: what was said at the old one holds for both (I5, I9)."""

    oracle: Oracle
    old: Form
    new: Form
    at: datetime
    _opt_outs: list[OptOut] = field(default_factory=list)
    _opt_ins: list[OptIn] = field(default_factory=list)
    """All that it has recorded: an undo takes back this, and nothing else."""
    _copied: list[object] = field(default_factory=list)

    def record(self) -> None:
        """The old address gets no marketing any more; what was said there is copied."""
        stop = OptOut(self.old, ALL, self.at, self.at, self.at, cause=Cause.MOVE, reported=True)
        self._opt_outs.append(self.oracle.add_opt_out(stop))
        self.repeat(self.at)

    def repeat(self, now: datetime) -> None:
        """Copy what was said at the old address since, with its own times."""
        for opt_out in list(self.oracle.opt_outs[self.old.person]):
            if self._goes_along(opt_out) and not self._is_copied(opt_out):
                self._copy(opt_out, now)
        for opt_in in list(self.oracle.opt_ins[self.old]):
            if not self._is_copied(opt_in):
                self._copied.append(opt_in)
                copy = replace(opt_in, known=now)
                self._opt_ins.append(copy)
                self.oracle.opt_ins[self.new].append(copy)
        listed = {scope for form, scope in self.oracle.listed if form == self.old}
        self.oracle.listed |= {(self.new, scope) for scope in listed}

    def undo(self) -> None:
        """Take back what it recorded; what the person did at the new address since stays."""
        for opt_out in self._opt_outs:
            opt_out.gone = True
        kept = self.oracle.opt_ins[self.new]
        kept[:] = [each for each in kept if not any(each is copy for copy in self._opt_ins)]

    def undo_closings(self) -> None:
        """The account that was closed since was the old address's; marketing stays off (I4)."""
        for opt_out in self.oracle.opt_outs[self.new.person]:
            is_closing = opt_out.scope == EVERYTHING and opt_out.cause is Cause.PERSON
            if is_closing and opt_out.form == self.new and opt_out.first >= self.at:
                opt_out.gone = True

    def _goes_along(self, opt_out: OptOut) -> bool:
        """Whether it covers the old address, and is the person's own and not the mailbox's."""
        if opt_out.gone is True or opt_out.scope == BOUNCED or opt_out.form == self.new:
            return False
        if opt_out.form != self.old:  # accounts and restrictions are those of exactly one form
            return opt_out.scope not in {EVERYTHING, RESTRICTION} and opt_out.form.meets(self.old)
        # The new address was never erased, and moved nowhere.
        was_erased = opt_out.cause is Cause.ERASURE and opt_out.scope == EVERYTHING
        return not was_erased and opt_out.cause is not Cause.MOVE

    def _is_copied(self, original: object) -> bool:
        return any(each is original for each in self._copied)

    def _copy(self, opt_out: OptOut, now: datetime) -> None:
        is_sure = opt_out.sure and opt_out.gone is False
        if is_sure:
            self._copied.append(opt_out)
        copy = replace(
            opt_out, form=self.new, received=now, sure=is_sure, gone=False, own=False, known=None,
            reported=True, cause=Cause.PERSON,
        )  # fmt: skip
        self._opt_outs.append(self.oracle.add_opt_out(copy))
