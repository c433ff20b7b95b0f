"""Mails that bounce for now, as their servers report: counted, and a suppression that ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from preference_center.core.links.tokens import Link
from preference_center.inbound.ingest import ingest_mail
from preference_center.infra.context import services
from simulation.accounts import Accounts
from simulation.acts import Act
from simulation.entry_points import address
from simulation.oracle import OptOut, Oracle
from simulation.people import ALL, BOUNCED, Form, forms_of
from simulation.violation import Violation
from tests.inbound.rules.reports import RETURNED, dsn, failed

MAILBOX = "bounces@stop.example.com"
SUPPRESSED_FOR = timedelta(days=1)
"""As the catalogue of the simulation has it: see `simulation/catalogue.toml`."""
TWICE = 3
"""One in so many reports is delivered twice."""


@dataclass(slots=True)
class Bounces:
    """Acts by their names; each returns its outcome, for the trace."""

    oracle: Oracle
    learn: Callable[[Form, datetime], None]
    """Called with a form that the service knows."""
    accounts: Accounts
    counted: defaultdict[Form, list[datetime]] = field(default_factory=lambda: defaultdict(list))

    def soft_bounce(self, act: Act) -> str:
        """A mailbox is disabled for now: that suppresses once it comes on two days (UTC)."""
        form, now = forms_of(act.who)[act.form], services().now()
        if form in self.accounts.erased_last:  # whether it counts on depends on who erases when
            return "erased once"
        mail = _report(form, act, now)
        for _ in range(2 if act.number % TWICE == 0 else 1):
            if not ingest_mail(mail, [MAILBOX], now, size=len(mail)).is_ours:
                raise Violation("I1: a report to the mailbox for reports is not ours")
        self.counted[form].append(now)
        if len({at.date() for at in self.counted[form]}) < 2:
            return "counted"
        until = now + SUPPRESSED_FOR
        self.oracle.add_opt_out(OptOut(form, BOUNCED, now, now, now, until=until))
        self.learn(form, now)
        return f"until {until:%d %H:%M}"


def _report(form: Form, act: Act, now: datetime) -> bytes:
    links = services().links
    token = links.create_token(Link(address(form), ALL, "m-1", now))
    returned = f"{RETURNED}List-Unsubscribe: <{links.unsubscribe_url(token)}>\n"
    group = failed(form.text, "5.2.1", "550 5.2.1 The mailbox is disabled")
    return dsn(group, returned=returned, header=f"Message-ID: <{act.at}-{act.number}@mx.example>\n")
