"""The service removes what is past its retention: no decision changes, and no opt-out is lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from preference_center.catalogue.store import current_catalogue
from preference_center.decisions.rules import decide, find_sharing_denial
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.ledger.store.lookup import load_facts_as_of
from preference_center.rights.retention import run_retention
from preference_center.rights.rules.requests import Extent
from simulation.checking import ASKED
from simulation.comparing import SLACK
from simulation.crew import Mishap
from simulation.entry_points import address
from simulation.oracle import OptOut, Oracle
from simulation.people import ALL, EVERYTHING, SHARING, START, Form, forms_of
from simulation.rights import APART, Rights
from simulation.violation import Violation

PERIOD = timedelta(days=1)
"""Of each kind, as `simulation/catalogue.toml` has it; and the time between two runs."""
RECORDED = timedelta(hours=13)
"""After so long what somebody did is in the ledger, wherever they did it."""
STEPS = 12
"""A run is killed at one of so many steps, if it has so many, and begun again."""

_ROWS = """
SELECT 'evidence', e.seq, a.digest, e.recorded_at, EXISTS (
        SELECT FROM suppression s WHERE s.address_id = e.address_id
            AND e.id IN (s.out_event, s.lift_event, s.pause_event))
    OR EXISTS (SELECT FROM consent c WHERE c.address_id = e.address_id AND c.event = e.id)
FROM event_evidence v JOIN event e ON e.id = v.event_id JOIN address a ON a.id = e.address_id
UNION ALL SELECT 'acknowledgement', d.id, a.digest, d.at, false
FROM delivery_ack k JOIN delivery d ON d.id = k.delivery_id JOIN address a ON a.id = d.address_id
UNION ALL SELECT 'audit entry', id, ''::bytea, at, false FROM audit
"""
_OPT_OUTS = """
SELECT a.digest, s.scope, s.out_at, s.lift_at FROM suppression s
JOIN address a ON a.id = s.address_id WHERE s.out_at IS NOT NULL
"""
_ERASED = """
SELECT a.digest, x.extent FROM erasure x JOIN address a ON a.id = x.address_id
WHERE x.begun_at >= %s ORDER BY x.id
"""


class Row(NamedTuple):
    """What is stored for a time: evidence, a tool's acknowledgement or an entry of the audit."""

    kind: str
    number: int
    digest: bytes
    at: datetime
    in_force: bool
    """Whether it proves what counts now."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is there before a run, or after it."""

    rows: Mapping[tuple[str, int], Row]
    opt_outs: Mapping[tuple[bytes, str], tuple[datetime, datetime | None]]
    """By address and scope: when the newest opt-out was, and the newest opt-in."""
    allowed: Mapping[tuple[Form, str], bool]
    """The decision about each message."""


@dataclass(slots=True)
class Retention:
    """Runs it, and compares what it has removed with the periods."""

    oracle: Oracle
    rights: Rights
    known: Mapping[Form, datetime]
    touched: Callable[[Iterable[Form]], None]
    """Called with those who were erased."""
    asked_about: Callable[[Iterable[Form]], bool] = lambda _: False
    """Whether an open request is about one of these."""
    next_at: datetime = START

    def run(self) -> None:
        """One run a day, which may be killed at any step; then the next one goes on."""
        if self.rights.clock() < self.next_at:
            return
        self.rights.clock.sleep(APART)
        now, before = services().now(), self._stored()
        self.next_at = now + PERIOD
        expired = [form for form in self.known if self._must_be_erased(form, now)]
        mishap = Mishap("killed", 1 + services().random.randrange(STEPS))
        self.rights.crew.cut_off(mishap, "retention", lambda: _run(now))
        _run(now)
        forgotten = self._forgotten(now)
        self._compare(before, self._stored(), forgotten, now)
        erased = {form: forgotten[of] for form, of in self._digests() if of in forgotten}
        for form, extent in erased.items():
            if reason := self._reason_to_stay(form, extent, now):
                raise Violation(f"I6: {form.text} is erased by retention: {reason}")
        if late := [form for form in expired if form not in erased]:
            raise Violation(f"{late[0].text} gets no marketing, and is readable for too long")
        self._expect(erased)

    # --- what is there

    def _stored(self) -> Stored:
        rows = run_autocommit(lambda c: c.execute(_ROWS).fetchall())
        opt_outs = run_autocommit(lambda c: c.execute(_OPT_OUTS).fetchall())
        return Stored(
            {(row[0], row[1]): Row(*row) for row in rows},
            {(digest, scope): (out_at, lift_at) for digest, scope, out_at, lift_at in opt_outs},
            self._decided(),
        )

    def _decided(self) -> dict[tuple[Form, str], bool]:
        """What senders are told about everybody who is known or erased."""
        forms = sorted({*self.known, *self.rights.erased}, key=lambda form: form.text)
        facts, _ = load_facts_as_of([address(form) for form in forms])
        catalogue, now, found = current_catalogue(), services().now(), {}
        for form, known in zip(forms, facts, strict=True):
            found[form, SHARING] = find_sharing_denial(known, now) is None
            for topic, name in ASKED:
                message = catalogue.message_types[name]
                found[form, name] = decide(message, catalogue.topics.get(topic), known, now).allow
        return found

    def _forgotten(self, now: datetime) -> dict[bytes, Extent]:
        """The digests of what the run has erased, numbers too, and how far each was."""
        rows = run_autocommit(lambda c: c.execute(_ERASED, (now,)).fetchall())
        return {digest: Extent(extent) for digest, extent in rows}

    def _digests(self) -> list[tuple[Form, bytes]]:
        """Of everybody who has acted, too: a request may be about whom only a tool has shown us."""
        exact_digest = services().keys.exact_digest
        forms = {form for person in self.oracle.changed for form in forms_of(person)}
        return [(form, exact_digest(address(form))) for form in forms.union(self.known)]

    # --- what must be true

    def _compare(
        self, before: Stored, after: Stored, forgotten: Collection[bytes], now: datetime
    ) -> None:
        for (form, name), allowed in before.allowed.items():
            if allowed is not after.allowed[form, name]:
                was = "allowed" if allowed else "denied"
                raise Violation(f"I5: {name} to {form.text} was {was} until retention")
        for place, (out_at, lift_at) in before.opt_outs.items():
            newest = after.opt_outs.get(place)
            if newest is None or newest[0] < out_at or newest[1] != lift_at:
                raise Violation(f"I5, I6: an opt-out of {place[1]} is lost by retention")
        exempt = {digest for form, digest in self._digests() if self._is_exempt([form])}
        limit = now - PERIOD
        for number, row in before.rows.items():
            is_early = row.at >= limit or row.in_force or row.digest in exempt
            if number not in after.rows and is_early and row.digest not in forgotten:
                raise Violation(f"I8: {row.kind} of {row.at:%d %H:%M} is gone before its time")
        for row in after.rows.values():
            if row.at < limit and row.kind != "evidence" and row.digest not in exempt:
                of = [form.text for form, digest in self._digests() if digest == row.digest]
                raise Violation(f"{row.kind} of {row.at:%d %H:%M} is there for too long: {of}")

    def _reason_to_stay(self, form: Form, extent: Extent, now: datetime) -> str:
        """Why it should not have been erased; "" if it should, or might."""
        accounts, since = self.rights.accounts, now - PERIOD + SLACK
        if self._is_exempt(accounts.of(form) if extent is Extent.ACCOUNT else [form]):
            return "it is restricted, under a hold, or asked about"
        if extent is Extent.ACCOUNT:
            scope = EVERYTHING
            is_off = all(self.oracle.closed(each, now) is not False for each in accounts.of(form))
        else:
            scope, is_off = "", bool(self._opt_outs_of_all(form, now))
            if accounts.has(form):
                return "it has a contact"
            if any(opt_in.known >= since for opt_in in self.oracle.opt_ins[form]):
                return "it was opted in within the period"
        if not is_off:
            return "nothing stops what it is sent"
        mine = [o for o in self.oracle.opt_outs[form.person] if o.form == form and o.sure]
        is_new = any(o.known and o.known >= since for o in mine if scope in {"", o.scope})
        return "it was opted out within the period" if is_new else ""

    def _must_be_erased(self, form: Form, now: datetime) -> bool:
        """Whether it has certainly had nothing but an opt-out of all marketing for so long."""
        accounts, before = self.rights.accounts, now - PERIOD - RECORDED
        if form in accounts.erased or accounts.has(form) or self._is_exempt([form]):
            return False
        if not any(each.sure and not each.gone for each in self._opt_outs_of_all(form, now)):
            return False
        times = [opt_out.received for opt_out in self.oracle.opt_outs[form.person]]
        times += [self.known[form], self.oracle.changed.get(form.person, START)]
        is_used = any(self.oracle.opt_ins[each] for each in forms_of(form.person))
        # A list says that they asked for something, and may have been read late.
        is_listed = any(each.person == form.person for each, _ in self.oracle.listed)
        return max(times) < before and not is_used and not is_listed

    def _opt_outs_of_all(self, form: Form, now: datetime) -> list[OptOut]:
        """Those of exactly this form that may stand, without pauses, which end by themselves."""
        return [each for each in self.oracle.standing(form, ALL, now) if not each.until]

    def _is_exempt(self, forms: Collection[Form]) -> bool:
        rights = self.rights
        is_restricted = bool(rights.restricted.intersection(forms))
        return is_restricted or rights.holds.hold_any(forms) or self.asked_about(forms)

    def _expect(self, erased: Mapping[Form, Extent]) -> None:
        done = set[Form]()
        for form, extent in erased.items():
            if form not in done:
                done |= {form, *self.rights.expect_erased(form, extent)}
                self.oracle.changed[form.person] = services().now()
        self.touched(erased)


def _run(now: datetime) -> None:
    run_retention(now)
