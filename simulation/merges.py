"""Senders make one contact of two of a person's: what one of them forbids, the other does, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from preference_center import contacts
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.errors import InvalidRows
from preference_center.infra.context import services
from simulation.accounts import Accounts
from simulation.acts import Act
from simulation.entry_points import address, origin
from simulation.oracle import OptOut, Oracle
from simulation.people import ALL, EVERYTHING, RESTRICTION, Form, forms_of
from simulation.violation import Violation


@dataclass(slots=True)
class Merges:
    """The act by its name; it returns its outcome, for the trace."""

    oracle: Oracle
    learn: Callable[[Form, datetime], None]
    """Called with a form that the service knows."""
    accounts: Accounts

    def merge(self, act: Act) -> str:
        """The contact of one form is merged into that of another. Nothing undoes it."""
        [(_, number)] = act.many
        gone, into = forms_of(act.who)[act.form], forms_of(act.who)[number]
        refusal = self._refusal(gone, into)
        pair = ContactRef(address=address(gone)), ContactRef(address=address(into))
        try:
            (written,) = contacts.merge_contacts([pair], origin())
        except InvalidRows:
            if not refusal:
                raise
            return refusal
        if refusal:
            raise Violation(f"I6: {gone.text} is merged into {into.text}: {refusal}")
        if written.is_changed:
            self._expect_merged(gone, into)
        return f"into {into.text}" if written.is_changed else "one already"

    def _refusal(self, gone: Form, into: Form) -> str:
        if self.accounts.has(gone) and into in self.accounts.of(gone):
            return ""
        if self.accounts.erased.keys() & {gone, into}:
            return "one of them is erased"
        return "" if self.accounts.has(gone) and self.accounts.has(into) else "no contact"

    def _expect_merged(self, gone: Form, into: Form) -> None:
        now = services().now()
        sides = [self.accounts.of(form) for form in (gone, into)]
        for side, other in (sides, sides[::-1]):
            self._expect_closed(side, other, now)
            self._expect_restricted(side, other, now)
        for form in self.accounts.merge(gone, into):
            self.learn(form, now)

    def _expect_closed(self, side: Iterable[Form], other: Iterable[Form], now: datetime) -> None:
        """Where the account of the `other` side is closed, this side's is from now on (I4)."""
        is_closed = {self.oracle.closed(form, now) for form in other}
        if is_closed == {False}:
            return
        for form in side:
            if self.oracle.closed(form, now):
                continue
            sure = True in is_closed and self.oracle.closed(form, now) is False
            for scope in (EVERYTHING, ALL):
                self.oracle.add_opt_out(
                    OptOut(form, scope, now, now, now, sure=sure, reported=sure)
                )

    def _expect_restricted(
        self, side: Iterable[Form], other: Iterable[Form], now: datetime
    ) -> None:
        if self.accounts.restricted.isdisjoint(other):
            return
        for form in side:
            if form not in self.accounts.restricted:
                self.oracle.add_opt_out(OptOut(form, RESTRICTION, now, now, now, reported=True))
                self.accounts.restricted.add(form)
