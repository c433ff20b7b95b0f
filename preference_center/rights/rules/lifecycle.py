"""Define a stored data-subject request, and take it from state to state.

Time is an argument, and nothing is written here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never
from uuid import UUID
from zoneinfo import ZoneInfo

from preference_center.catalogue.rules.privacy import AccountClosing, Law
from preference_center.core.errors import ForbiddenTransition, InvalidInput
from preference_center.core.events import ALL_MARKETING, SHARING, format_receipt_code
from preference_center.rights.rules.deadlines import (
    IDENTITY_WAIT,
    MINOR_RETENTION,
    RETENTION,
    next_reminder,
)
from preference_center.rights.rules.identity import MAX_FAILURES
from preference_center.rights.rules.requests import (
    ExtensionReason,
    Extent,
    IdentityLevel,
    RefusalGround,
    RequestKind,
    RequestOutcome,
    RequestState,
    RequestVia,
)


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
    is_of_person = not via.rules.by_agent or level >= IdentityLevel.CONTROLS_ADDRESS
    return ALL_MARKETING if extent and extent.rules.of_account and is_of_person else None


def require_transition(before: RequestState, after: RequestState) -> None:
    """Raises ForbiddenTransition unless `after` may follow `before`."""
    if after in before.rules.following:
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
    def erases_account(self) -> bool:
        """Whether it asks for the whole account to be erased."""
        return self.extent is not None and self.extent.rules.of_account

    @property
    def is_open(self) -> bool:
        """Whether it can be fulfilled: identity is proven, and it is not decided."""
        return self.state.rules.is_open

    @property
    def waits_for_principal(self) -> bool:
        """Whether an agent asked, and neither the person nor a file has confirmed it yet."""
        return self.via.rules.by_agent and self.state.rules.waits_for_proof

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
                return not self.erases_account
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
            self, state=RequestState.IDENTIFYING, stopped_at=now if stops_clock else None
        )
        return asked.schedule(now)

    def confirm_identity(self, level: IdentityLevel, now: datetime) -> RightsRequest:
        """Identity is proven to `level`; open from the level on that the act needs.

        A lower level than before changes nothing.
        """
        if self.is_open:
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
        if not self.state.rules.was_asked:
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
