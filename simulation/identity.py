"""Requests that wait until it is shown who asks: nothing comes of them before, or if it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.rights.access_file.build import build_access_file
from preference_center.rights.requests import handle, steps
from preference_center.rights.requests.clocks import run_clocks
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import Extent, IdentityLevel, RequestKind, RequestVia
from simulation.acts import Act
from simulation.entry_points import address
from simulation.oracle import OptOut
from simulation.people import RESTRICTION, START, Form, forms_of
from simulation.rights import APART, Rights
from simulation.violation import Violation

KINDS = (RequestKind.RESTRICT, RequestKind.ERASE, RequestKind.UNRESTRICT, RequestKind.ACCESS)
FAILURES = 3
"""After so many failed checks a request is refused."""
WAIT = timedelta(days=30)
"""After so long without proof it lapses."""
_STATES = """
SELECT r.id, r.state, EXISTS (SELECT FROM rights_file f WHERE f.request_id = r.id)
FROM rights_request r ORDER BY r.id
"""


@dataclass(slots=True)
class Asked:
    """One request. `state` is the one that the service must have it in."""

    form: Form
    kind: RequestKind
    at: datetime
    state: str = "identifying"
    failures: int = 0
    has_file: bool = False


@dataclass(slots=True)
class Identity:
    """Acts by their names; each returns its outcome, for the trace."""

    rights: Rights
    learn: Callable[[Form, datetime], None]
    """Called with a form that the service knows."""
    asked: dict[UUID, Asked] = field(default_factory=dict)
    ids: dict[tuple[int, int], UUID] = field(default_factory=dict)
    """Of the requests, by the person and the act's number."""

    def ask(self, act: Act) -> str:
        """Anybody asks, on a page, about an address that may not be theirs."""
        form, kind = forms_of(act.who)[act.form], KINDS[act.number % len(KINDS)]
        if form in self.rights.erased:
            return "erased"
        extent = Extent.MARKETING if kind is RequestKind.ERASE else None
        new = NewRequest(
            kind, RequestVia.PAGE, "en", (address(form),), extent=extent, identity_asked=True
        )
        request = handle.open_request(new)
        self.ids[act.who, act.number] = request.id
        self.asked.setdefault(request.id, Asked(form, kind, services().now()))
        self.check()
        return kind.value

    def fail_identity(self, act: Act) -> str:
        """What they answer is wrong."""
        found = self._waiting(act)
        if found is None:
            return "nothing waits"
        steps.fail_identity(self.ids[act.who, act.number], "support")
        found.failures += 1
        found.state = "refused" if found.failures == FAILURES else found.state
        self.check()
        return found.state

    def forwarded(self, act: Act) -> str:
        """They have a link of a message, which may have been forwarded: that is not enough."""
        found = self._waiting(act)
        if found is None:
            return "nothing waits"
        handle.confirm_identity(
            self.ids[act.who, act.number], IdentityLevel.MESSAGE_LINK, "support"
        )
        self.check()
        return "not enough"

    def confirm_identity(self, act: Act) -> str:
        """They control the address, or are the contact of several: what they ask for is done."""
        found, accounts = self._waiting(act), self.rights.accounts
        if found is None or not self._is_possible(found):
            return "nothing waits, or it can't be done"
        has_others = len(accounts.of(found.form)) > 1
        level = IdentityLevel.CONTACT if has_others else IdentityLevel.CONTROLS_ADDRESS
        self.rights.clock.sleep(APART)
        handle.confirm_identity(self.ids[act.who, act.number], level, "support")
        self._expect(found)
        if found.kind is RequestKind.ACCESS:
            build_access_file(self.ids[act.who, act.number])
            found.has_file = True
        found.state = "done"
        self.check()
        return f"{found.kind} is done"

    def run_clocks(self) -> None:
        """What happens by time alone: after 30 days without proof a request lapses."""
        now = services().now()
        for request_id, found in self.asked.items():
            if found.state == "identifying":
                build_access_file(request_id)
                found.state = "lapsed" if now >= found.at + WAIT else found.state
        run_clocks(now)
        self.check()

    def check(self) -> None:
        """Every request is in the state that it must be in, and only what is done has a file."""
        for request_id, state, has_file in run_autocommit(lambda c: c.execute(_STATES).fetchall()):
            found = self.asked[request_id]
            if state != found.state or has_file > found.has_file:
                file = ", with a file" if has_file else ""
                raise Violation(
                    f"a request to {found.kind} {found.form.text}, {found.state}, is {state}{file}"
                )

    def concerns(self, forms: Iterable[Form]) -> bool:
        """Whether an open request is about one of these."""
        given = set(forms)
        return any(
            each.state == "identifying" and each.form in given for each in self.asked.values()
        )

    def _waiting(self, act: Act) -> Asked | None:
        request_id = self.ids.get((act.who, act.number))
        found = self.asked[request_id] if request_id else None
        return found if found and found.state == "identifying" else None

    def _is_possible(self, found: Asked) -> bool:
        """Whether nothing has come between that makes it void, or another's to decide."""
        rights, form = self.rights, found.form
        forms = rights.accounts.of(form)
        if rights.accounts.erased_last.keys() & {form}:  # what it said went with the person
            return False
        is_restricted = bool(rights.restricted.intersection(forms))
        if found.kind is RequestKind.UNRESTRICT:
            newest = max(
                (o.first for o in rights.oracle.opt_outs[form.person] if o.scope == RESTRICTION),
                default=START,
            )
            return form in rights.restricted and rights.accounts.has(form) and newest < found.at
        return found.kind is RequestKind.ACCESS or not (
            is_restricted or rights.holds.hold_any(forms)
        )

    def _expect(self, found: Asked) -> None:
        form, now = found.form, services().now()
        match found.kind:
            case RequestKind.ERASE:
                self.rights.expect_erased(form, Extent.MARKETING)
            case RequestKind.RESTRICT:
                self.rights.accounts.open(form)
                for each in self.rights.accounts.of(form):
                    self.rights.oracle.add_opt_out(
                        OptOut(each, RESTRICTION, found.at, now, found.at, known=now, reported=True)
                    )
                    self.rights.restricted.add(each)
                    self.learn(each, now)
            case RequestKind.UNRESTRICT:
                self.rights.expect_unrestricted(form)
