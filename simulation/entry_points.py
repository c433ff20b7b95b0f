"""What people, senders and support do at the service's own entry points, and in the oracle."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from preference_center import contacts
from preference_center.context import services
from preference_center.domain.addresses import Address, Channel, parse_address
from preference_center.domain.contacts import ContactRef, ContactUpdate
from preference_center.domain.events import Change, EventKind
from preference_center.domain.resubscribe import build_opt_in_change
from preference_center.domain.sender_requests import (
    ConsentEvidence,
    ReceivedVia,
    RequestOrigin,
    build_opt_out_change,
)
from preference_center.errors import InvalidRows
from preference_center.inbound.ingest_mail import ingest_mail
from preference_center.ledger import RecordResult, record
from preference_center.links import Link
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection
from simulation.ground import Clock
from simulation.history import Act
from simulation.oracle import No, Oracle
from simulation.people import ALL, EVERYTHING, Form, forms_of

_UNDO = re.compile(r'name="undo" value="([^"]+)"')
_PAIR = {"List-Unsubscribe": "One-Click"}
REPEAT = timedelta(seconds=5)
ZONES = (UTC, *(timezone(timedelta(hours=hours)) for hours in (5.75, -9.5, 14)))
OURS = frozenset({"one_click", "page"})
"""Entry points where a "no" counts from now: what support or a mail says has its own date."""
SERVED = frozenset({"one_click", "page", "undo", "reads", "pause", "opt_in"})
"""What a web host does, by its own clock."""
TIES = 7
"""One in so many opt-ins comes with a "no" of the same moment."""
PAUSES = (timedelta(hours=2), timedelta(hours=20), timedelta(days=7))


class Violation(AssertionError):
    """A rule is broken."""


@dataclass(slots=True)
class EntryPoints:
    """Carries out acts of people. Whatever is acknowledged, the oracle is told."""

    client: Any
    oracle: Oracle
    clock: Clock
    hosts: Sequence[timedelta]
    """How far ahead the clock of each web host is."""
    known: Callable[[Form, datetime], None]
    """Is told of every form that the service has heard of, and since when."""
    own: dict[tuple[Form, str, str], No] = field(default_factory=dict)
    """The last that each said through each of our own entry points."""
    ours: set[int] = field(default_factory=set)
    """Which of the opt-outs were said there."""
    offers: dict[int, tuple[str, str, No]] = field(default_factory=dict)

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
        self._post(form, act.scope, _PAIR)
        self._no(form, act.scope, "one_click")
        return "200"

    def _page(self, form: Form, act: Act) -> str:
        token, text = self._post(form, act.scope, {"confirm": "this"})
        no = self._no(form, act.scope, "page")
        offer = _UNDO.search(text)
        if offer:
            self.offers[act.number] = (token, offer[1], no)
        return "offers undo" if offer else "stood already"

    def _undo(self, form: Form, act: Act) -> str:
        """It takes back what was said on that page, and nothing that was said since."""
        if act.number not in self.offers:
            return "nothing to undo"
        token, offer, no = self.offers.pop(act.number)
        answer = self.client.post(f"/u/{token}", data={"undo": offer})
        if answer.status_code != 200:
            raise Violation(f"I7: undo answers {answer.status_code}")
        if "Not undone" in answer.text:
            return "too late"
        for other in self.oracle.noes[form.person]:
            own = id(other) in self.ours and other is not no
            if own or other.heard or other.until:  # an act of its own
                continue
            if (other.form, other.scope) == (no.form, no.scope) and other.first >= no.first:
                # A list or a tool that said the same meanwhile may not have been recorded.
                other.gone, other.sure = other.sure or other is no, False
        return "200"

    def _mailed(self, form: Form, act: Act) -> str:
        """Their mail client writes to the header's mailto."""
        context = services()
        token = context.links.create_mailto_token(
            self._link(form, act.scope), context.keys.exact_digest(address(form))
        )
        to = f"{token}@unsubscribe.example.com"
        mail = f"From: {form.text}\r\nTo: {to}\r\nSubject: unsubscribe\r\n\r\n".encode()
        taken = ingest_mail(mail, [to], context.now(), size=len(mail)).result
        if not taken.recorded:
            raise Violation("I1: a mail to a valid mailto is not recorded")
        self._no(form, act.scope, "mailto")
        return "taken"

    def _reads(self, form: Form, act: Act) -> str:
        """A scanner follows the links of a mail."""
        token = services().links.create_token(self._link(form, act.scope))
        for method, path in (("GET", "u"), ("HEAD", "u"), ("GET", "p"), ("OPTIONS", "u")):
            answer = self.client.open(f"/{path}/{token}", method=method)
            if not 200 <= answer.status_code < 300:
                raise Violation(f"I7: {method} /{path}/ answers {answer.status_code}")
        return "200"

    def _post(self, form: Form, scope: str, data: Mapping[str, str]) -> tuple[str, str]:
        token = services().links.create_token(self._link(form, scope))
        answer = self.client.post(f"/u/{token}", data=data)
        if answer.status_code != 200:
            raise Violation(f"I1, I7: a valid link answers {answer.status_code}")
        return token, answer.text

    def _link(self, form: Form, scope: str) -> Link:
        return Link(address(form), scope, "m-1", services().now())

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
        self.oracle.says_yes(form, act.scope, now, self.clock.now)
        self.known(form, now)
        if act.number % TIES == 0:  # and says no at the very same time
            self._said(form, act.scope, now)
            return "recorded, and the opposite"
        return "recorded"

    def _opt_in_dated(self, form: Form, act: Act) -> str:
        """A sender tells late of an opt-in; what was said since stands."""
        context, at = services(), self.clock.now - timedelta(seconds=act.number)
        proof, catalogue = ConsentEvidence("page", "Yes, please", "en", at), current_catalogue()
        record(
            [
                build_opt_in_change(
                    context.new_id(), address(form), act.scope, proof, origin(), catalogue
                )
            ]
        )
        self.oracle.says_yes(form, act.scope, at, self.clock.now)
        self.known(form, self.clock.now)
        return f"said at {at:%d %H:%M:%S}"

    def _phone(self, form: Form, act: Act) -> str:
        """Support writes down what was said hours ago."""
        at = services().now() - timedelta(minutes=act.number * 7 % (24 * 60))
        self._said(form, act.scope, at.astimezone(ZONES[act.number % len(ZONES)]))
        return f"said at {at:%d %H:%M}"

    def late(self, form: Form, act: Act, meanwhile: Callable[[], None]) -> None:
        """What support writes down, `meanwhile` just before the transaction is committed."""
        self._said(form, act.scope, services().now(), lambda *_: meanwhile())

    def _said(
        self,
        form: Form,
        scope: str,
        at: datetime,
        beside: Callable[[Connection, RecordResult], None] | None = None,
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
            beside,
        )
        self._no(form, scope, "phone", at)

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
        self.oracle.says_no(No(form, act.scope, now, now, now, until=until))
        self.known(form, now)
        return f"until {until:%d %H:%M}"

    def _named(self, form: Form, _: Act) -> str:
        contacts.upsert_contacts([ContactUpdate(addresses=(address(form),))], origin())
        self.known(form, services().now())
        return "contact"

    def _close(self, form: Form, _: Act) -> str:
        # Closed already, it changes nothing unless an opt-in came between: that may be noted by
        # a clock that is behind.
        sure = self.oracle.closed(form, services().now()) is not True
        contacts.deactivate_contacts(
            [(ContactRef(address=address(form)), services().now())], origin()
        )
        now = services().now()
        for scope in (EVERYTHING, ALL):
            self.oracle.says_no(No(form, scope, now, now, now, sure=sure))
        self.known(form, now)
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
            self.oracle.says_yes(form, EVERYTHING, now)
        return "open"

    def _no(self, form: Form, scope: str, source: str, at: datetime | None = None) -> No:
        at = at or services().now()
        self.known(form, at)
        said = self.own.get((form, scope, source))
        covered = [other for other in forms_of(form.person) if form.meets(other)]
        yeses = [yes.at for other in covered for yes in self.oracle.yeses[other]]
        lifted = said and any(yes > said.first for yes in yeses)
        if said and abs(at - said.first) <= REPEAT and not said.gone and not lifted:
            said.last = max(said.last, at)
            return said  # it stands: saying it twice is saying it once (I7)
        # What support writes down while it is said is as good as what was pressed.
        own = source in OURS or abs(services().now() - at) <= REPEAT
        lifts = [yes.at for yes in self.oracle.yeses[form]] if own else []
        no = self.oracle.says_no(
            No(form, scope, at, max([at, *lifts]), at, own=own, known=self.clock.now)
        )
        self.own[form, scope, source] = no
        self.ours.add(id(no))
        return no


def address(form: Form) -> Address:
    """The form as the service reads it."""
    return parse_address(form.text, Channel.EMAIL)


def origin() -> RequestOrigin:
    """Of what a sender passes on."""
    return RequestOrigin("api", "simulation", services().now())
