"""What people, senders and support do at the service's own entry points, and in the oracle."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from preference_center import contacts
from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidRows
from preference_center.core.events import Change, EventKind
from preference_center.core.links.tokens import Link
from preference_center.inbound.ingest import ingest_mail
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.ledger import RecordResult, record
from preference_center.ledger.rules import (
    ConsentEvidence,
    ReceivedVia,
    RequestOrigin,
    build_opt_in_change,
    build_opt_out_change,
)
from simulation.accounts import Accounts
from simulation.acts import Act
from simulation.ground import Clock
from simulation.oracle import OptOut, Oracle
from simulation.people import ALL, EVERYTHING, SHARING, Form, forms_of
from simulation.signals import Signals
from simulation.violation import Violation

UNDO_PERIOD = timedelta(minutes=30)
"""How long a press on the unsubscribe page can be undone."""
_UNDO = re.compile(r'name="undo" value="([^"]+)"')
PAIR = {"List-Unsubscribe": "One-Click"}
_BROWSER = {"follow_redirects": True}
REPEAT = timedelta(seconds=5)
ZONES = (UTC, *(timezone(timedelta(hours=hours)) for hours in (5.75, -9.5, 14)))
OURS = frozenset({"one_click", "page"})
"""Entry points where an opt-out counts from now; one by support or mail has its own date."""
SERVED = frozenset({"one_click", "page", "gpc", "undo", "reads", "pause", "opt_in"})
"""What a web host does, by its own clock."""
TIES = 7
"""One in so many opt-ins comes with an opt-out of the same time."""
PAUSES = (timedelta(hours=2), timedelta(hours=20), timedelta(days=7))


@dataclass(slots=True)
class EntryPoints:
    """Carries out acts of people, and records in the oracle what is acknowledged."""

    client: Any
    oracle: Oracle
    clock: Clock
    hosts: Sequence[timedelta]
    """How far ahead the clock of each web host is."""
    known: Callable[[Form, datetime], None]
    """Called with every form that the service knows, and since when."""
    accounts: Accounts = field(default_factory=Accounts)
    own: dict[tuple[Form, str, str], OptOut] = field(default_factory=dict)
    """The last opt-out of each form through each of our own entry points, with each link."""
    ours: set[int] = field(default_factory=set)
    """The ids of the opt-outs made there."""
    offers: dict[int, tuple[str, str, OptOut, datetime]] = field(default_factory=dict)
    """By the number of the act: the link's token, the offer to undo, and of what and when."""
    signals: Signals = field(init=False)

    def __post_init__(self) -> None:
        self.signals = Signals(self.oracle)

    def act(self, act: Act) -> str | None:
        """Do it and return the outcome; None if it is no act at these entry points."""
        do: Callable[[Form, Act], str] | None = getattr(self, f"_{act.what}", None)
        if do is None:
            return None
        ahead = self.hosts[act.number % len(self.hosts)] if act.what in SERVED else timedelta(0)
        with self.clock.of_host(ahead):
            return do(forms_of(act.who)[act.form], act)

    # --- recipients

    def _one_click(self, form: Form, act: Act) -> str:
        token, _ = self._post(form, act.scope, PAIR)
        self._expect_opt_out(form, act.scope, "one_click", token=token)
        return "200"

    def _gpc(self, form: Form, act: Act) -> str:
        """The same by a browser that asks with each request that nothing be shared."""
        is_new = self.signals.counts(form, services().now())
        outcome = self._page(form, act, {"Sec-GPC": "1"})
        if is_new is not False:
            now = services().now()
            opt_out = self._expect_opt_out(form, SHARING, "gpc", token=str(act.number))
            opt_out.sure = is_new is True
            self.signals.note(form, now)
        return outcome

    def _page(self, form: Form, act: Act, headers: Mapping[str, str] | None = None) -> str:
        token, text = self._post(form, act.scope, {"confirm": "this"}, headers)
        opt_out = self._expect_opt_out(form, act.scope, "page", token=token)
        offer = _UNDO.search(text)
        if offer:
            self.offers[act.number] = (token, offer[1], opt_out, self.clock.now)
        return "offers undo" if offer else "active already"

    def _undo(self, form: Form, act: Act) -> str:
        """It undoes the opt-out of that page, and nothing later."""
        if act.number not in self.offers:
            return "nothing to undo"
        token, offer, opt_out, pressed_at = self.offers.pop(act.number)
        response = self.client.post(f"/u/{token}", data={"undo": offer}, **_BROWSER)
        if response.status_code != 200:
            raise Violation(f"I7: undo answers {response.status_code}")
        # The page does not say so where they have opted in to something since.
        if "Too late to undo" in response.text or self.clock.now - pressed_at > UNDO_PERIOD:
            return "too late"
        for other in self.oracle.opt_outs[form.person]:
            own = id(other) in self.ours and other is not opt_out
            if own or other.reported or other.until:  # an act of its own
                continue
            if (other.form, other.scope) == (
                opt_out.form,
                opt_out.scope,
            ) and other.first >= opt_out.first:
                # The same from a list or a tool meanwhile may not have been recorded.
                other.gone, other.sure = other.sure or other is opt_out, False
        return "200"

    def _mailed(self, form: Form, act: Act) -> str:
        """Their mail client writes to the header's mailto."""
        mail, to = mail_of(form, act.scope)
        result = ingest_mail(mail, [to], services().now(), size=len(mail)).result
        if not result.recorded:
            raise Violation("I1: a mail to a valid mailto is not recorded")
        self._expect_opt_out(form, act.scope, "mailto")
        return "recorded"

    def _reads(self, form: Form, act: Act) -> str:
        """A scanner follows the links of a mail."""
        token = services().links.create_token(link(form, act.scope))
        for method, path in (("GET", "u"), ("HEAD", "u"), ("GET", "p"), ("OPTIONS", "u")):
            response = self.client.open(f"/{path}/{token}", method=method)
            if not 200 <= response.status_code < 300:
                raise Violation(f"I7: {method} /{path}/ answers {response.status_code}")
        return "200"

    def _post(
        self,
        form: Form,
        scope: str,
        data: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> tuple[str, str]:
        token = services().links.create_token(link(form, scope))
        response = self.client.post(f"/u/{token}", data=data, headers=headers, **_BROWSER)
        if response.status_code != 200:
            raise Violation(f"I1, I7: a valid link answers {response.status_code}")
        return token, response.text

    # --- senders and support

    def _opt_in(self, form: Form, act: Act) -> str:
        context, now = services(), services().now()
        proof = ConsentEvidence("page", "Yes, please", "en", now)
        catalogue = current_catalogue()
        record(
            [
                build_opt_in_change(
                    context.new_id(), address(form), act.scope, proof, origin(), catalogue
                )
            ]
        )
        self.oracle.add_opt_in(form, act.scope, now, self.clock.now)
        self.known(form, now)
        if act.number % TIES == 0:  # and opts out at the very same time
            self._record_opt_out(form, act.scope, now)
            return "recorded, and the opposite"
        return "recorded"

    def _opt_in_dated(self, form: Form, act: Act) -> str:
        """A sender reports an opt-in late; later opt-outs stay active."""
        context, at = services(), self.clock.now - timedelta(seconds=act.number)
        proof, catalogue = ConsentEvidence("page", "Yes, please", "en", at), current_catalogue()
        record(
            [
                build_opt_in_change(
                    context.new_id(), address(form), act.scope, proof, origin(), catalogue
                )
            ]
        )
        self.oracle.add_opt_in(form, act.scope, at, self.clock.now)
        self.known(form, self.clock.now)
        return f"dated {at:%d %H:%M:%S}"

    def _phone(self, form: Form, act: Act) -> str:
        """Support records an opt-out of hours ago."""
        at = services().now() - timedelta(minutes=act.number * 7 % (24 * 60))
        self._record_opt_out(form, act.scope, at.astimezone(ZONES[act.number % len(ZONES)]))
        return f"dated {at:%d %H:%M}"

    def late(self, form: Form, act: Act, meanwhile: Callable[[], None]) -> None:
        """An opt-out by support; `meanwhile` runs just before the transaction is committed."""
        self._record_opt_out(form, act.scope, services().now(), lambda *_: meanwhile())

    def _record_opt_out(
        self,
        form: Form,
        scope: str,
        at: datetime,
        in_transaction: Callable[[Connection, RecordResult], None] | None = None,
    ) -> None:
        record(
            [
                build_opt_out_change(
                    services().new_id(),
                    address(form),
                    scope,
                    ReceivedVia.PHONE,
                    origin(),
                    received_at=at,
                    occurred_at=at,
                )
            ],
            in_transaction,
        )
        self._expect_opt_out(form, scope, "phone", at)

    def _pause(self, form: Form, act: Act) -> str:
        now = services().now()
        until = now + PAUSES[act.number % len(PAUSES)]
        change = Change(
            services().new_id(),
            EventKind.PAUSED,
            address(form),
            act.scope,
            occurred_at=now,
            received_at=now,
            source="page",
            actor="recipient",
            until=until,
        )
        record([change])
        self.oracle.add_opt_out(OptOut(form, act.scope, now, now, now, until=until))
        self.known(form, now)
        return f"until {until:%d %H:%M}"

    def _named(self, form: Form, _: Act) -> str:
        contacts.upsert_contacts([ContactUpdate(addresses=(address(form),))], origin())
        self.known(form, services().now())
        if form not in self.accounts.erased:  # nothing is kept of an erased person
            self.accounts.open(form)
        return "contact"

    def _close(self, form: Form, _: Act) -> str:
        self.accounts.open(form)
        # Closed already, it changes nothing unless an opt-in came between. Which other addresses an
        # erased account had nobody can read any more (I6).
        forms, now = self.accounts.of(form), services().now()
        sure = {
            each: (each == form or each not in self.accounts.erased)
            and (self.oracle.closed(each, now) is not True or self.oracle.is_asked_for(each, now))
            for each in forms
        }
        contacts.deactivate_contacts(
            [(ContactRef(address=address(form)), services().now())], origin()
        )
        now = services().now()
        for each in forms:
            for scope in (EVERYTHING, ALL):
                self.oracle.add_opt_out(
                    OptOut(each, scope, now, now, now, sure=sure[each], reported=sure[each])
                )
            self.known(each, now)
        return "closed"

    def _reopen(self, form: Form, _: Act) -> str:
        now = services().now()
        proof = ConsentEvidence("page", "Open my account again", "en", now)
        try:
            (written,) = contacts.reopen_contacts(
                [(ContactRef(address=address(form)), proof)], origin()
            )
        except InvalidRows:
            return "no account, or closed just now"
        if written.is_changed:
            for each in self.accounts.of(form):
                self.oracle.add_opt_in(each, EVERYTHING, now)
        return "open"

    def _expect_opt_out(
        self, form: Form, scope: str, source: str, at: datetime | None = None, token: str = ""
    ) -> OptOut:
        now = services().now()
        self.known(form, now)
        at = at or now
        through = f"{source} {token}"
        earlier = self.own.get((form, scope, through))
        covered = [other for other in forms_of(form.person) if form.meets(other)]
        opt_ins = [opt_in.at for other in covered for opt_in in self.oracle.opt_ins[other]]
        lifted = earlier and any(opt_in > earlier.first for opt_in in opt_ins)
        if earlier and abs(at - earlier.first) <= REPEAT and not earlier.gone and not lifted:
            earlier.last = max(earlier.last, at)
            return earlier  # it is active: a repeat changes nothing (I7)
        # What support records at once counts as much as a click.
        own = source in OURS or abs(now - at) <= REPEAT
        lifts = [opt_in.at for opt_in in self.oracle.opt_ins[form]] if own else []
        opt_out = self.oracle.add_opt_out(
            OptOut(form, scope, at, max([at, *lifts]), at, own=own, known=self.clock.now)
        )
        self.own[form, scope, through] = opt_out
        self.ours.add(id(opt_out))
        return opt_out


def address(form: Form) -> Address:
    """The form as the service reads it."""
    return parse_address(form.text, Channel.EMAIL)


def link(form: Form, scope: str) -> Link:
    """What a mail of now links to."""
    return Link(address(form), scope, "m-1", services().now())


def mail_of(form: Form, scope: str) -> tuple[bytes, str]:
    """A mail to the `mailto:` of a mail of now, and its recipient."""
    context = services()
    digest = context.keys.exact_digest(address(form))
    to = f"{context.links.create_mailto_token(link(form, scope), digest)}@unsubscribe.example.com"
    return f"From: {form.text}\r\nTo: {to}\r\nSubject: unsubscribe\r\n\r\n".encode(), to


def origin() -> RequestOrigin:
    """Of what a sender passes on."""
    return RequestOrigin("api", "simulation", services().now())
