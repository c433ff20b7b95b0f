"""What the person's own newer act lifts, passed on with its evidence (I5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from preference_center.domain.addresses import Address
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.decisions import Fact
from preference_center.domain.events import (
    ALL_MARKETING,
    EVERYTHING,
    REPEAT,
    UNDELIVERABLE,
    Change,
    Kind,
)
from preference_center.domain.sender_requests import Origin, Proof, consent, topic_for
from preference_center.errors import InvalidInput

_OTHERWISE = {
    EVERYTHING: "a closed account is reopened, not lifted: see contacts",
    UNDELIVERABLE: "a bounce ends with the person's own wish to receive: lift a topic,"
    " or all_marketing",
}


def lifting(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    scope: str,
    proof: Proof,
    origin: Origin,
    catalogue: Catalogue,
) -> Change:
    """The person's "yes" to a topic, or to all marketing.

    It ends older opt-outs, complaints and pauses of its scope and, for what it covers, older
    bounces. A topic's overrides older wider ones for that topic; a wider one never lifts a
    topic's own. Raises UnknownTopic, WrongChannel, or InvalidInput for what can't be lifted
    like this and for a proof that names the person (I8).
    """
    if scope in _OTHERWISE:
        raise InvalidInput(_OTHERWISE[scope])
    if scope != ALL_MARKETING:
        topic = topic_for(address, scope, catalogue)
        return consent(id, address, topic, proof, origin, own_act=True)
    return Change(
        id=id,
        kind=Kind.OPTED_IN,
        address=address,
        scope=scope,
        occurred_at=proof.occurred_at,
        received_at=origin.now,
        source=origin.source,
        actor=origin.actor,
        evidence=proof.evidence(address),
    )


def is_repeat(lift: Change, facts: Sequence[Fact]) -> bool:
    """Whether the person's own "yes" of this scope is there already, so a lift adds nothing (I7).

    It is if one that counts no earlier is stored, at most `REPEAT` later. A later act is one of
    its own, and counts against what may still reach us late (I5).
    """
    said = [fact.state.lift for fact in facts if fact.exact and fact.scope == lift.scope]
    newest = max((mark.at for mark in said if mark), default=None)
    return newest is not None and timedelta(0) <= newest - lift.counts_at <= REPEAT
