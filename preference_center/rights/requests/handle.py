"""Open a request, confirm its identity, and record looks, as entry points do (docs/rights.md).

The rules are those of `rights.rules`. What a request brings about is written in one transaction
with its step: by `rights.requests.steps.complete_data_request`, with `in_transaction` or with the
`connection` of the effect.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from preference_center import contacts
from preference_center.contacts.choices import ACTOR
from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.errors import ExpiredLink, InvalidRows
from preference_center.core.events import ALL_MARKETING, Change, EventKind
from preference_center.core.links import FormPurpose
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.rights.requests import decide, opening, steps
from preference_center.rights.rules.changes import UNDO_PERIOD
from preference_center.rights.rules.identity import Proof, proven_level
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import (
    AskedFact,
    IdentityLevel,
    IdentityResult,
    StepAction,
)

PAGE_SOURCE = "rights_page"
"""The source of what people change on the pages of rights."""


def open_request(
    new: NewRequest, actor: str = steps.PERSON, in_transaction: opening.InTransaction | None = None
) -> RightsRequest:
    """Record a request and send its reference; returns it, or the one that it repeats.

    The same request about the same person within a day is one, to which it may add identity.
    An objection to marketing counts in the same transaction. What acts by itself is done at once
    if identity is proven, else the scheduler does it. Raises InvalidInput, Unavailable.
    """
    return decide.act_if_ready(opening.open_request(new, actor, in_transaction))


def confirm_identity(
    request_id: UUID,
    level: IdentityLevel,
    actor: str,
    facts: Collection[AskedFact] = (),
    *,
    before: steps.InTransaction | None = None,
    after: opening.InTransaction | None = None,
) -> RightsRequest:
    """Record that identity is proven to `level`; `facts` are what support asked about.

    Opens the request if that is enough for it, and then does what acts by itself. In the same
    transaction counts what is an opt-out from now on, and is written what `before` and `after`
    write. Raises UnknownRequest, ForbiddenTransition, Unavailable.
    """
    confirmed: list[RightsRequest] = []

    def write(connection: Connection, _: RecordResult) -> None:
        if before:
            before(connection)
        request = steps.confirm_identity(request_id, level, actor, facts, connection=connection)
        if after:
            after(connection, request)
        confirmed.append(request)

    record(_opt_outs_of_proof(steps.load_request(request_id), level, actor), write)
    return decide.act_if_ready(confirmed[-1])


def record_check(
    request_id: UUID,
    result: IdentityResult,
    proof: Proof,
    actor: str,
    facts: Collection[AskedFact] = (),
    after: opening.InTransaction | None = None,
) -> RightsRequest:
    """Record that proof was asked for, came, or did not convince; as for `confirm_identity`."""
    if result is IdentityResult.CONFIRMED:
        return confirm_identity(request_id, proven_level(proof), actor, facts, after=after)

    def write(connection: Connection) -> RightsRequest:
        if result is IdentityResult.ASKED:
            request = steps.ask_identity(request_id, actor, connection=connection)
        else:
            request = steps.fail_identity(request_id, actor, facts, connection=connection)
        if after:
            after(connection, request)
        return request

    return run_in_transaction(write)


def _opt_outs_of_proof(request: RightsRequest, level: IdentityLevel, actor: str) -> list[Change]:
    """The opt-outs that a request becomes by proof of `level`, as an agent's to delete does."""
    known = replace(request, level=max(request.level, level))
    if request.state.closed or request.stops_marketing or not known.stops_marketing:
        return []
    context = services()
    now = context.now()
    return [
        Change(
            id=context.new_id(),
            kind=EventKind.OPTED_OUT,
            address=address,
            scope=ALL_MARKETING,
            occurred_at=now,
            received_at=now,
            source=steps.SOURCE,
            actor=actor,
            evidence={"request": str(request.id), "via": request.via},
        )
        for address in steps.part_addresses(steps.open_sealed(request))
    ]


def record_look(request_id: UUID, look: StepAction, actor: str) -> None:
    """Record that staff read what a request keeps sealed. Raises Unavailable."""
    now = services().now()
    run_in_transaction(lambda c: steps.add_step(c, request_id, now, actor, look))


def undo_closing(token: str, wording: str, language: str) -> None:
    """Open the account of a notice's link again; marketing stays off (I6). Safe to repeat.

    Raises InvalidLink; ExpiredLink after UNDO_PERIOD, and where the account is gone; Unavailable.
    """
    context = services()
    now = context.now()
    closed_at, data = context.links.open_form(FormPurpose.CLOSED_ACCOUNT, token, None, now)
    if now > closed_at + UNDO_PERIOD:
        raise ExpiredLink(f"a closing can be undone for {UNDO_PERIOD.days} days")
    proof = ConsentEvidence(PAGE_SOURCE, wording, language, now)
    named = ContactRef(id=UUID(data["contact"]))
    try:
        origin = RequestOrigin(PAGE_SOURCE, ACTOR, now)
        contacts.reopen_contacts([(named, proof)], origin, closed_by=closed_at)
    except InvalidRows:
        raise ExpiredLink("this account was deleted, or closed again") from None
