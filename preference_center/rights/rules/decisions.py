"""Define a data-subject request, which states it goes through, and who may decide about it.

Time is an argument, and nothing is written here. `NewRequest` is a request as it comes in;
`RightsRequest` is one that is stored. That a request was extended is a mark, not a state.

Some decisions take two people of the staff: one proposes, another decides. They are those that a
person can't get undone: a refusal, and an erasure that staff decide on. The rule holds in the
console, which knows who each person is. A command trusts the name that it is given, and a key of
the API is a system of the company's, so neither shows that there were two people; they are for a
company's own procedure (decision 100).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import assert_never
from uuid import UUID
from zoneinfo import ZoneInfo

from preference_center.catalogue.rules.privacy import AccountClosing, Law
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import ForbiddenTransition, InvalidInput
from preference_center.core.events import ALL_MARKETING, SHARING, format_receipt_code
from preference_center.core.staff import actor_kind
from preference_center.rights.rules.identity import (
    MAX_FAILURES,
    Circumstance,
    is_role_mailbox,
    required_level,
)
from preference_center.rights.rules.requests import (
    IDENTITY_WAIT,
    MINOR_RETENTION,
    RETENTION,
    ExtensionReason,
    Extent,
    IdentityLevel,
    RefusalGround,
    RequestKind,
    RequestOutcome,
    RequestState,
    RequestVia,
    compute_deadlines,
    next_reminder,
)

_ENDINGS = frozenset(
    {RequestState.REFUSED, RequestState.WITHDRAWN, RequestState.LAPSED},
)


TRANSITIONS: Mapping[RequestState, frozenset[RequestState]] = {
    RequestState.RECEIVED: _ENDINGS | {RequestState.IDENTIFYING, RequestState.OPEN},
    RequestState.IDENTIFYING: _ENDINGS | {RequestState.OPEN},
    RequestState.OPEN: frozenset(
        {RequestState.DONE, RequestState.REFUSED, RequestState.WITHDRAWN},
    ),
    RequestState.DONE: frozenset(),
    RequestState.REFUSED: frozenset(),
    RequestState.WITHDRAWN: frozenset(),
    RequestState.LAPSED: frozenset(),
}
"""The states that may follow each. Only a request whose identity is proven can be done."""


def require_transition(before: RequestState, after: RequestState) -> None:
    """Raises ForbiddenTransition unless `after` may follow `before`."""
    if after in TRANSITIONS[before]:
        return
    if before.closed:
        raise ForbiddenTransition(f"the request is closed ({before}): nothing of it can change")
    if after is RequestState.DONE:
        raise ForbiddenTransition(f"the request is {before}: confirm who the person is first")
    raise ForbiddenTransition(f"a request that is {before} can't become {after}")


_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class RightsRequest:
    """A data-subject request as it is stored. All times are UTC.

    Methods return the request as it is afterwards; they raise ForbiddenTransition where its
    state does not allow that.
    """

    id: UUID
    kind: RequestKind
    extent: Extent | None
    law: Law | None
    via: RequestVia
    language: str
    brand: str | None
    received_at: datetime
    recorded_at: datetime
    confirm_by: datetime | None
    confirmed_at: datetime | None
    due_at: datetime
    stopped_at: datetime | None
    extended_to: datetime | None
    extension_reason: ExtensionReason | None
    level: IdentityLevel
    required_level: IdentityLevel
    failures: int
    state: RequestState
    outcome: RequestOutcome | None
    refusal: RefusalGround | None
    contact_id: UUID | None
    address_ids: tuple[int, ...]
    subject_digests: tuple[bytes, ...] = field(repr=False)
    sealed: bytes | None = field(repr=False)
    closed_at: datetime | None
    forget_at: datetime | None
    next_at: datetime | None
    version: int

    @property
    def stops_marketing(self) -> bool:
        """Whether all marketing is off by it."""
        scope = opt_out_scope(self.kind, self.extent, self.via, self.level)
        return scope == ALL_MARKETING

    @property
    def waits_for_proof(self) -> bool:
        """Whether nothing happens before the person has proven more of who they are."""
        return not self.state.closed and self.level < self.required_level

    @property
    def waits_for_dealings(self) -> bool:
        """Whether the person has to write to us: no link that is mailed to them proves enough."""
        return self.waits_for_proof and self.required_level is IdentityLevel.CONTACT

    @property
    def reference(self) -> str:
        """What the person quotes, as `1C4K-8X2M-Q7RV-3F5D`."""
        return format_receipt_code(self.id)

    @property
    def deadline(self) -> datetime:
        """By when it is to be answered, extended or not; it moves on while the clock is stopped."""
        return self.extended_to or self.due_at

    def acts_by_itself(self, closing: AccountClosing) -> bool:
        """Whether it is fulfilled without staff once identity is proven."""
        match self.kind:
            case RequestKind.ACCESS | RequestKind.RESTRICT | RequestKind.UNRESTRICT:
                return True
            case RequestKind.ERASE:
                return self.extent is Extent.MARKETING
            case RequestKind.CLOSE:
                return closing is AccountClosing.HERE
            case (
                RequestKind.CORRECT
                | RequestKind.REOPEN
                | RequestKind.OBJECT
                | RequestKind.DONT_SELL_OR_SHARE
                | RequestKind.COMPLAINT
                | RequestKind.MINOR
            ):
                return False
            case _:
                assert_never(self.kind)

    def ask_identity(self, now: datetime, *, stops_clock: bool) -> RightsRequest:
        """The person was asked to prove who they are; the law says whether the clock stops."""
        require_transition(self.state, RequestState.IDENTIFYING)
        asked = replace(
            self,
            state=RequestState.IDENTIFYING,
            stopped_at=now if stops_clock else None,
        )
        return asked.schedule(now)

    def confirm_identity(self, level: IdentityLevel, now: datetime) -> RightsRequest:
        """Identity is proven to `level`; open from the level on that the act needs.

        A lower level than before changes nothing.
        """
        if self.state is RequestState.OPEN:
            return replace(self, level=max(self.level, level))
        require_transition(self.state, RequestState.OPEN)
        known = replace(self, level=max(self.level, level))
        if known.level < self.required_level:
            return known
        return replace(_start_clock(known, now), state=RequestState.OPEN).schedule(now)

    def fail_identity(self, now: datetime) -> RightsRequest:
        """A check of identity failed; after MAX_FAILURES the request is refused."""
        require_transition(self.state, RequestState.OPEN)
        failed = replace(self, failures=self.failures + 1)
        if failed.failures < MAX_FAILURES:
            return failed
        return failed.refuse(RefusalGround.NOT_IDENTIFIED, now)

    def extend(
        self, extendable_to: datetime | None, reason: ExtensionReason, now: datetime
    ) -> RightsRequest:
        """The answer takes longer, until `extendable_to` (see `compute_deadlines`).

        Raises InvalidInput if no law allows it, if it was extended before, or if the date is past
        by which the person must be informed of it (GDPR art. 12(3): within the first month).
        """
        if self.state.closed:
            raise InvalidInput(f"the request is closed ({self.state}): nothing of it can change")
        if extendable_to is None:
            raise InvalidInput("the law gives no longer time for this request: answer it")
        if self.extended_to is not None:
            raise InvalidInput("the request was extended before: no law allows it twice")
        if self.stopped_at is None and now > self.due_at:
            raise InvalidInput(
                "it is too late to extend: the person had to be informed before the first date"
            )
        return replace(self, extended_to=extendable_to, extension_reason=reason).schedule(now)

    def refuse(self, ground: RefusalGround, now: datetime) -> RightsRequest:
        """It is not fulfilled, on this ground. A report of a minor is only UNFOUNDED."""
        if (self.kind is RequestKind.MINOR) != (ground is RefusalGround.UNFOUNDED):
            raise ForbiddenTransition(
                "`unfounded` is the ground of dismissed reports of minors, and their only one"
            )
        return replace(self._close(RequestState.REFUSED, now), refusal=ground)

    def complete(self, outcome: RequestOutcome, now: datetime) -> RightsRequest:
        """It is fulfilled."""
        return replace(self._close(RequestState.DONE, now), outcome=outcome)

    def withdraw(self, now: datetime) -> RightsRequest:
        """The person no longer asks for it. Nobody can withdraw a report of a minor."""
        if self.kind is RequestKind.MINOR:
            raise ForbiddenTransition("a report of a minor is confirmed or dismissed by staff")
        return self._close(RequestState.WITHDRAWN, now)

    def lapse(self, now: datetime) -> RightsRequest:
        """The proof of identity did not come in time."""
        return self._close(RequestState.LAPSED, now)

    @property
    def lapses_at(self) -> datetime | None:
        """When it lapses if identity is not proven; None if it does not wait for that.

        Under a law whose clock runs on that is the deadline (11 CCR 7021(b)).
        """
        if self.state is not RequestState.IDENTIFYING:
            return None
        return self.stopped_at + IDENTITY_WAIT if self.stopped_at else self.deadline

    def schedule(self, now: datetime) -> RightsRequest:
        """With `next_at` after `now`: the next reminder, or the end by itself."""
        times = [self.lapses_at]
        if self.stopped_at is None:
            times.append(next_reminder(self.received_at, self.deadline, now))
        return replace(self, next_at=min(filter(None, times), default=None))

    def _close(self, state: RequestState, now: datetime) -> RightsRequest:
        require_transition(self.state, state)
        return replace(
            _start_clock(self, now),
            state=state,
            closed_at=now,
            forget_at=(MINOR_RETENTION if self.kind is RequestKind.MINOR else RETENTION).after(
                now, _UTC
            ),
            next_at=None,
        )


def _start_clock(request: RightsRequest, now: datetime) -> RightsRequest:
    """With the dates moved on by the time for which the clock was stopped."""
    if request.stopped_at is None:
        return request
    stopped = now - request.stopped_at
    return replace(
        request,
        stopped_at=None,
        due_at=request.due_at + stopped,
        extended_to=request.extended_to and request.extended_to + stopped,
    )


CONSOLE = "console"
"""The kind of actor of somebody who is signed in to the console."""


class Decision(StrEnum):
    """How a request ends by the staff's decision."""

    REFUSE = "refuse"
    FULFIL = "fulfil"


class SecondPersonRequired(InvalidInput):
    """Somebody else has to propose this decision first, or to take it."""


class OwnDecision(SecondPersonRequired):
    """They proposed this decision, or placed this hold, themselves."""


class ProposalChanged(InvalidInput):
    """What is proposed now is not what was shown to who decides."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A decision that somebody proposed, and that nobody has declined or carried out yet.

    `ground` is that of a refusal, `outcome` that of a fulfilment. `at` is in UTC.
    """

    decision: Decision
    by: str
    at: datetime
    ground: RefusalGround | None = None
    outcome: RequestOutcome | None = None

    @property
    def code(self) -> str:
        """Tells it from the others of its request, so that a form can say which one it showed."""
        return " ".join(
            (self.decision, self.ground or self.outcome or "", self.by, self.at.isoformat())
        )


def needs_second_person(kind: RequestKind, decision: Decision) -> bool:
    """Whether two people of the staff take this decision about a request of this kind."""
    match decision:
        case Decision.REFUSE:
            return True
        case Decision.FULFIL:
            return kind in {RequestKind.ERASE, RequestKind.MINOR}
        case _:
            assert_never(decision)


def is_person_of_staff(actor: str) -> bool:
    """Whether the actor is somebody who has signed in to the console."""
    return actor_kind(actor) == CONSOLE


def check_second_person(
    kind: RequestKind,
    decision: Decision,
    actor: str,
    proposal: Proposal | None,
    ground: RefusalGround | None = None,
) -> None:
    """Raises SecondPersonRequired unless `actor` may take this decision now.

    Somebody of the staff may where another has proposed the same: with the same ground, if it is
    a refusal.
    """
    if not is_person_of_staff(actor) or not needs_second_person(kind, decision):
        return
    if proposal is None or (proposal.decision, proposal.ground) != (decision, ground):
        raise SecondPersonRequired("two people decide this: propose it, then another one decides")
    if proposal.by == actor:
        raise OwnDecision("you proposed this: another person has to decide")


def check_ends_hold(placed_by: str, actor: str) -> None:
    """Raises SecondPersonRequired if somebody of the staff ends a hold of their own."""
    if is_person_of_staff(actor) and placed_by == actor:
        raise OwnDecision("you placed this hold: another person has to end it")


MAX_TEXT = 4_000
"""Characters of what the person wrote."""


MAX_REPORT = 1_000
"""Characters of what makes somebody think that an address is a minor's."""


MAX_NAME = 100
"""Characters of an agent's name."""


MAX_SUBJECTS = 100
"""Addresses and external ids of one request: it is about one person."""


_CONTACT_LIKE = re.compile(r"[/@\\]|\bwww\b|\w\.[a-z]{2,}\b|(?:\d\D{0,3}){5}", re.IGNORECASE)
"""A link, an address, or a phone number: five digits that are close together."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody who acts for the person."""

    name: str
    address: str

    def check(self) -> None:
        """Raises InvalidInput unless it is a name that can be shown to the person, and an address.

        The name is typed by a stranger and mailed to somebody: it must name no way to reach them.
        """
        if not 0 < len(self.name) <= MAX_NAME or not self.name.isprintable():
            raise InvalidInput(f"state the agent's name, up to {MAX_NAME} characters")
        if _CONTACT_LIKE.search(self.name):
            raise InvalidInput("state the agent's name without a link, address or phone number")
        parse_address(self.address, Channel.EMAIL)


def opt_out_scope(
    kind: RequestKind, extent: Extent | None, via: RequestVia, level: IdentityLevel
) -> str | None:
    """The scope of the opt-out that a request is; None if it is none.

    Who wants the account deleted objects to marketing, too. That counts at any level of identity;
    where an agent asks for it, once the person has confirmed it or the authority is proven.
    """
    if kind is RequestKind.OBJECT:
        return ALL_MARKETING
    if kind is RequestKind.DONT_SELL_OR_SHARE:
        return SHARING
    is_of_person = via is not RequestVia.AGENT or level >= IdentityLevel.CONTROLS_ADDRESS
    return ALL_MARKETING if extent is Extent.ACCOUNT and is_of_person else None


@dataclass(frozen=True, slots=True, repr=False)
class NewRequest:
    """What is asked for, about whom, and how sure it is who asks.

    `level` is what is proven of the person that the request is about, for all of `addresses`.
    `received_at` (aware) may be stated for what came by letter or phone. `law` is stated where
    the person said where they live. With `identity_asked` the person was asked for proof at the
    same time, which stops the clock where the law allows it. `language` (BCP 47) empty is that of
    the contact. `id` is given where a form may be sent twice: it is recorded once.
    """

    kind: RequestKind
    via: RequestVia
    language: str
    addresses: tuple[Address, ...] = ()
    external_ids: tuple[str, ...] = ()
    extent: Extent | None = None
    law: Law | None = None
    brand: str | None = None
    received_at: datetime | None = None
    level: IdentityLevel = IdentityLevel.NONE
    circumstances: frozenset[Circumstance] = frozenset()
    identity_asked: bool = False
    text: str = ""
    agent: Agent | None = None
    reporter: str = ""
    id: UUID | None = None

    def check(self) -> None:
        """Raises InvalidInput, which states what to fix."""
        subjects = len(self.addresses) + len(self.external_ids)
        if not subjects:
            raise InvalidInput("state whom the request is about: an address or an external id")
        if subjects > MAX_SUBJECTS:
            raise InvalidInput(f"a request is about one person: name up to {MAX_SUBJECTS} of them")
        if len(self.text) > MAX_TEXT:
            raise InvalidInput(f"the text is longer than {MAX_TEXT:,} characters: shorten it")
        if (self.via is RequestVia.AGENT) != (self.agent is not None):
            raise InvalidInput("a request by an agent, and only that, names the agent: state who")
        if self.agent is not None:
            self.agent.check()
        if self.kind is RequestKind.MINOR and len(self.text) > MAX_REPORT:
            raise InvalidInput(f"a report is longer than {MAX_REPORT:,} characters: shorten it")
        if (self.extent is not None) != (self.kind is RequestKind.ERASE):
            raise InvalidInput("a request to erase, and only that, has an extent: state which")

    @property
    def opt_out_scope(self) -> str | None:
        """The scope of the opt-out that it is, as soon as it is received; None if it is none."""
        return opt_out_scope(self.kind, self.extent, self.via, self.level)

    @property
    def is_only_opt_out(self) -> bool:
        """Whether nothing is left to do once the opt-out is recorded and any words were read."""
        return self.kind in {RequestKind.OBJECT, RequestKind.DONT_SELL_OR_SHARE}

    @property
    def reaches_contact(self) -> bool:
        """Whether it concerns all addresses of the contact, also those that it does not name."""
        return self.kind is RequestKind.CLOSE or self.extent is Extent.ACCOUNT

    @property
    def required_level(self) -> IdentityLevel:
        """The identity that it needs, also for further addresses and mailboxes of a role.

        An external id names the contact, with all its addresses.
        """
        found = set(self.circumstances)
        if len(self.addresses) > 1 or self.external_ids:
            found.add(Circumstance.OTHER_ADDRESS)
        if any(map(is_role_mailbox, self.addresses)):
            found.add(Circumstance.ROLE_MAILBOX)
        return required_level(self.kind, self.extent, found)


@dataclass(frozen=True, slots=True)
class SubjectRows:
    """The stored rows of the people that a request is about, and their digests."""

    digests: tuple[bytes, ...] = field(repr=False)
    address_ids: tuple[int, ...] = ()
    contact_id: UUID | None = None


def build_request(
    new: NewRequest,
    request_id: UUID,
    subject: SubjectRows,
    laws: Collection[Law],
    zone: tzinfo,
    received_at: datetime,
    now: datetime,
) -> RightsRequest:
    """The request as it is first stored, `sealed` apart: open if identity is proven already.

    `laws` are those that the company has configured. Raises InvalidInput.
    """
    new.check()
    dates = compute_deadlines(new.kind, [new.law] if new.law else laws, received_at, zone)
    received = RightsRequest(
        id=request_id,
        kind=new.kind,
        extent=new.extent,
        law=new.law,
        via=new.via,
        language=new.language,
        brand=new.brand,
        received_at=received_at,
        recorded_at=now,
        confirm_by=dates.confirm_by,
        confirmed_at=now if new.via.confirms_at_once else None,
        due_at=dates.due_at,
        stopped_at=None,
        extended_to=None,
        extension_reason=None,
        level=new.level,
        required_level=new.required_level,
        failures=0,
        state=RequestState.RECEIVED,
        outcome=None,
        refusal=None,
        contact_id=subject.contact_id,
        address_ids=subject.address_ids,
        subject_digests=subject.digests,
        sealed=None,
        closed_at=None,
        forget_at=None,
        next_at=None,
        version=1,
    )
    if new.level >= received.required_level:
        return replace(received, state=RequestState.OPEN).schedule(now)
    if new.identity_asked:
        return received.ask_identity(now, stops_clock=dates.stops_for_identity)
    return received.schedule(now)
