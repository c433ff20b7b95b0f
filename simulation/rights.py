"""What people do about their data: have it erased, come back, limit its use.

And what must be true of it: nothing readable of an erased person is stored, whatever was killed
meanwhile, and a restored backup erases again (I6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from preference_center import contacts
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.errors import InvalidInput, ReplayPending, UnderHold
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.infra.keys.sealed_columns import SEALED_COLUMNS
from preference_center.ledger.history_loss import accept_losses, require_no_loss
from preference_center.ledger.restore_gate import CHECK_INTERVAL
from preference_center.ledger.rules import ConsentEvidence
from preference_center.rights.erasure import journal
from preference_center.rights.erasure.come_back import return_after_erasure
from preference_center.rights.erasure.erase import erase_contacts
from preference_center.rights.erasure.replay import replay
from preference_center.rights.rules.requests import Extent
from simulation.accounts import Accounts
from simulation.acts import Act
from simulation.crew import Crew, Mishap
from simulation.entry_points import address, origin
from simulation.ground import Clock
from simulation.holds import Holds
from simulation.oracle import Cause, OptOut, Oracle
from simulation.people import ALL, EVERYTHING, RESTRICTION, Form, forms_of
from simulation.tools import Tool
from simulation.violation import Violation
from tests.life.backup import Backup

APART = 15.0
"""Seconds between an erasure and what was done on a host whose clock is ahead."""
KILLED = 2
"""One in so many erasures is cut off, and asked for again."""
STEPS = 9
EXPIRING = frozenset({"webhook_inbox", "review_queue", "list_import_part", "outgoing_mail"})
"""What can't be searched by person, and is deleted by age."""
KEPT_30_DAYS = frozenset({"erasure", "rights_request"})
"""What names the erased until the tools and the open requests are done with, or 30 days."""

_KEPT = """
SELECT (SELECT count(*) FROM event_evidence v JOIN event e ON e.id = v.event_id
        JOIN address a ON a.id = e.address_id WHERE e.recorded_at < a.erased_at),
    (SELECT count(*) FROM delivery_ack k JOIN delivery d ON d.id = k.delivery_id
        JOIN address a ON a.id = d.address_id WHERE a.erased_at IS NOT NULL)
"""

_CHOSEN_BEFORE = """
SELECT count(*) FROM unnest(%s::bytea[], %s::timestamptz[]) AS given (digest, erased_at)
JOIN address a ON a.digest = given.digest AND a.channel = 'email'
JOIN consent c ON c.address_id = a.id AND c.at <= given.erased_at
"""
"""By the times that the simulation knows: what is noted of an erasure may be what is wrong."""

_ERASED_IN_TOOLS = """
SELECT destination, digest, begun_at FROM (
    SELECT DISTINCT ON (x.address_id, t.destination_id)
        t.destination, a.digest, x.begun_at, t.outcome
    FROM erasure x JOIN erasure_task t ON t.erasure_id = x.id JOIN address a ON a.id = x.address_id
    ORDER BY x.address_id, t.destination_id, x.begun_at DESC, x.id DESC) AS newest
WHERE outcome IN ('erased', 'absent', 'nothing_held')
"""
"""What the service states about the newest erasure of each address at each tool."""

_ACCOUNTS = """
SELECT l.address_id, c.account, COALESCE(s.active, false) FROM contact_address l
JOIN contact c ON c.id = l.contact_id
LEFT JOIN suppression s ON s.address_id = l.address_id AND s.scope = 'everything'
WHERE c.merged_into IS NULL AND (c.account = 'open') = COALESCE(s.active, false)
"""


@dataclass(slots=True)
class Rights:
    """Acts by their names; each returns its outcome, for the trace."""

    clock: Clock
    oracle: Oracle
    crew: Crew
    tools: Mapping[str, Tool]
    learn: Callable[[Form, datetime], None]
    """Called with a form that the service knows again."""
    accounts: Accounts
    holds: Holds

    @property
    def erased(self) -> dict[Form, datetime]:
        """Who is erased, and since when."""
        return self.accounts.erased

    @property
    def restricted(self) -> set[Form]:
        """Whose use of their data is limited."""
        return self.accounts.restricted

    # --- acts

    def erase(self, act: Act) -> str:
        """A worker or web process may die at any step; then they ask again."""
        form, extent = forms_of(act.who)[act.form], Extent(act.scope)
        if self.restricted.intersection(self.accounts.of(form)):
            return "restricted"
        is_killed = act.number % KILLED == 0
        mishap = Mishap("killed", 1 + act.number // KILLED % STEPS) if is_killed else None
        is_held = self.holds.hold_any(self._subjects(form, extent))
        try:
            self._erase(form, extent, mishap)
        except UnderHold:
            if is_held:
                return "under a hold"
            raise
        if is_held:
            raise Violation(f"I6: {form.text} was under a hold and is erased")
        return extent.value

    def _subjects(self, form: Form, extent: Extent) -> list[Form]:
        """An account is erased with all its addresses, marketing of exactly one (I9)."""
        return self.accounts.of(form) if extent is Extent.ACCOUNT else [form]

    def _erase(self, form: Form, extent: Extent, mishap: Mishap | None = None) -> None:
        """Some time after what hosts have recorded whose clocks are ahead."""
        self.clock.sleep(APART)

        def work() -> None:
            erase_contacts([ContactRef(address=address(form))], extent, origin=origin())

        if mishap is not None:
            self.crew.cut_off(mishap, "erase", work)
        work()
        self.expect_erased(form, extent)

    def expect_erased(self, form: Form, extent: Extent) -> list[Form]:
        """Also of a repeat, which counts from now (I5). Returns who is erased by it."""
        now, is_account = services().now(), extent is Extent.ACCOUNT
        forms = self._subjects(form, extent)
        for each in forms:
            for scope in (ALL, EVERYTHING) if is_account else (ALL,):
                self.oracle.add_opt_out(
                    OptOut(each, scope, now, now, now, reported=True, cause=Cause.ERASURE)
                )
        if not is_account and form not in self.erased:
            self.accounts.leave(form)
        for each in forms:
            self.erased.setdefault(each, now)
            self.accounts.erased_last[each] = now
        self.clock.sleep(APART)
        return forms

    def comes_back(self, act: Act) -> str:
        """They show that the address is theirs: service mail again, marketing off."""
        form, now = forms_of(act.who)[act.form], services().now()
        proof = ConsentEvidence("page", "Have me back", "en", now)
        try:
            return_after_erasure(address(form), proof, origin=origin())
        except InvalidInput:
            if form in self.erased:
                raise
            return "not erased"
        if form not in self.erased:
            return "not erased"
        self.oracle.add_opt_in(form, EVERYTHING, now)
        del self.erased[form]
        self.accounts.returned[form] = now
        self.accounts.leave(form)
        self.accounts.open(form)
        for tool in self.tools.values():
            tool.erased.discard(form.text)
        self.learn(form, now)
        return "back"

    def restrict(self, act: Act) -> str:
        """Marketing is off for every form of the mailbox, whatever they opt in to."""
        form, now = forms_of(act.who)[act.form], services().now()
        if form in self.erased or form in self.restricted:
            return "erased, or restricted already"
        contacts.restrict_contacts([(ContactRef(address=address(form)), now)], origin())
        self.accounts.open(form)
        for each in self.accounts.of(form):
            if each not in self.restricted:
                self.oracle.add_opt_out(OptOut(each, RESTRICTION, now, now, now, reported=True))
                self.restricted.add(each)
            self.learn(each, now)
        return "restricted"

    def unrestrict(self, act: Act) -> str:
        """They end the restriction of their own contact, and no other form's."""
        form, now = forms_of(act.who)[act.form], services().now()
        if form not in self.restricted or not self.accounts.has(form):
            return "not restricted"
        proof = ConsentEvidence("page", "Use my data again", "en", now)
        contacts.unrestrict_contacts([(ContactRef(address=address(form)), proof)], origin())
        self.expect_unrestricted(form)
        return "ended"

    def expect_unrestricted(self, form: Form) -> None:
        """The restriction of its contact has ended."""
        for opt_out in self.oracle.opt_outs[form.person]:
            if opt_out.form in self.accounts.of(form) and opt_out.scope == RESTRICTION:
                opt_out.gone = True
        self.restricted.difference_update(self.accounts.of(form))

    # --- what must be true

    def check(self) -> None:
        """Nothing readable of the erased is stored, but for tools and what expires (I6)."""
        rows = run_autocommit(lambda c: c.execute(_KEPT).fetchall())
        for what, count in zip(("evidence", "acknowledgements"), rows[0], strict=True):
            if count:
                raise Violation(f"I6: {count} {what} of erased people are left")
        self._nothing_chosen_before()
        self._readable_nowhere({*KEPT_30_DAYS, *EXPIRING}, self.erased)
        self._gone_from_tools()
        found = run_autocommit(lambda c: c.execute(_ACCOUNTS).fetchall())
        if found:
            raise Violation(
                f"I4: {len(found)} addresses do not agree with their account: {found[0]}"
            )

    def _nothing_chosen_before(self) -> None:
        """No consent of before an erasure is there, whether or not they came back since."""
        last = self.accounts.erased_last
        digests = [services().keys.exact_digest(address(form)) for form in last]
        given = [digests, list(last.values())]
        [(count,)] = run_autocommit(lambda c: c.execute(_CHOSEN_BEFORE, given).fetchall())
        if count:
            raise Violation(f"I6: {count} consents of before an erasure are left")

    def _gone_from_tools(self) -> None:
        """No tool of which an erasure is stated as done holds whom it was asked to delete."""
        forms = {services().keys.exact_digest(address(form)): form for form in self.erased}
        rows = run_autocommit(partial(_fetch, _ERASED_IN_TOOLS.encode()))
        for name, digest, begun_at in rows:
            if digest not in forms:  # they have come back
                continue
            tool, text = self.tools[name], forms[digest].text
            asked = max(begun_at, tool.asked_to_delete.get(text, begun_at))
            if text in tool.contacts and tool.contacts[text] <= asked:
                raise Violation(f"I6: {name} holds {text}, whose erasure there is stated as done")

    def check_for_good(self, purge: Callable[[], None]) -> None:
        """The same after all that is kept for tools, or by age, has to be gone."""
        forms = list(self.erased)  # it may erase more people
        self.clock.sleep(timedelta(days=31).total_seconds())
        purge()
        self._readable_nowhere(set(), forms)

    def _readable_nowhere(self, allowed: Iterable[str], forms: Iterable[Form]) -> None:
        texts = [form.text for form in forms]
        if not texts:
            return
        keys = services().keys
        for column in SEALED_COLUMNS:
            if column.table in allowed:
                continue
            query = (
                f"SELECT t.{column.column}, {', '.join(column.context_columns)}"  # noqa: S608 - names
                f" FROM {column.table} t {column.join} WHERE t.{column.column} IS NOT NULL"
            ).encode()
            rows = run_autocommit(partial(_fetch, query))
            for ciphertext, *context in rows:
                text = keys.open(ciphertext, context=column.context(*context))
                found = next((each for each in texts if each in text), None)
                if found:
                    raise Violation(f"I6: {found} was erased and is readable in {column.table}")

    def open_tasks(self) -> list[str]:
        """What no tool and no person has been left with, though everybody rests."""
        query = (
            b"SELECT destination FROM erasure_task WHERE outcome = '' AND by_hand_since IS NULL"
            b" ORDER BY 1"
        )
        rows = run_autocommit(partial(_fetch, query))
        return [f"{name} has not erased somebody yet" for (name,) in rows]

    # --- a backup

    def restore(self, url: str, forms: Sequence[Form]) -> None:
        """Some are erased, and then a backup of before is restored: it has to erase them again."""
        backup = Backup(url)
        backup.take()
        for number, form in enumerate(forms):
            self._erase(form, list(Extent)[number % len(Extent)])
        backup.restore()
        self.clock.sleep(CHECK_INTERVAL.total_seconds())
        with suppress(ReplayPending):
            journal.require_replayed()
            if forms:
                raise Violation("I6: a restored database answers before it has erased again")
        replay()
        run_in_transaction(lambda connection: accept_losses(connection, "simulation"))
        self.clock.sleep(CHECK_INTERVAL.total_seconds())
        journal.require_replayed()
        require_no_loss()
        self.check()


def _fetch(query: bytes, connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()
