"""The person's own newer opt-in, relayed with its evidence: what it lifts (I5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidInput
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    REPEAT_INTERVAL,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    Change,
    EventKind,
    ScopeFact,
)
from preference_center.ledger.rules.sender_requests import (
    ConsentEvidence,
    RequestOrigin,
    build_consent_change,
    build_proven_change,
    topic_for_address,
)

_UNLIFTABLE_SCOPES = {
    RESTRICTION: "a restriction is ended, not lifted: see contacts",
    EVERYTHING: "a closed account is reopened, not lifted: see contacts",
    UNDELIVERABLE: "a bounce ends when the person opts in: lift a topic, or all_marketing",
}


def build_opt_in_change(
    id: UUID,  # noqa: A002 - as in `Change`
    address: Address,
    scope: str,
    consent_evidence: ConsentEvidence,
    origin: RequestOrigin,
    catalogue: Catalogue,
) -> Change:
    """The person's opt-in to a topic, to all marketing, or to sale and sharing.

    It ends older opt-outs, complaints and pauses of its scope and, for what it covers, older
    bounces. A topic's overrides older wider ones for that topic; a wider one never lifts a
    topic's own. Raises UnknownTopic, WrongChannel, or InvalidInput for what can't be lifted
    like this and for evidence that names the person (I8).
    """
    if scope in _UNLIFTABLE_SCOPES:
        raise InvalidInput(_UNLIFTABLE_SCOPES[scope])
    if scope not in {ALL_MARKETING, SHARING}:
        topic = topic_for_address(address, scope, catalogue)
        return build_consent_change(id, address, topic, consent_evidence, origin, own_act=True)
    return build_proven_change(id, EventKind.OPTED_IN, address, scope, consent_evidence, origin)


def is_repeated_opt_in(change: Change, facts: Sequence[ScopeFact]) -> bool:
    """Whether it is the person's own opt-in of a scope, and stored already: it adds nothing (I7).

    It is stored if one that counts no earlier is stored, at most REPEAT_INTERVAL later. A later
    act is a separate one, and counts against opt-outs that may still arrive late (I5).
    """
    if change.kind is not EventKind.OPTED_IN:
        return False
    lifts = [fact.state.lift for fact in facts if fact.exact and fact.scope == change.scope]
    newest = max((each.at for each in lifts if each), default=None)
    return newest is not None and timedelta(0) <= newest - change.counts_at <= REPEAT_INTERVAL
