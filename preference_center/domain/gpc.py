"""Global Privacy Control: what the signal means for an address (docs/decisions/0015)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from preference_center.domain.catalogue import GpcPolicy
from preference_center.domain.decisions import is_opted_out_of_all_marketing
from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.scope_facts import ScopeFact


class GpcStatus(StrEnum):
    """How the page treats the signal; shown by `gpc_notice.html`."""

    OFFERED = "offered"
    PENDING = "pending"
    """It is honoured once any button is pressed: a GET never writes (I7)."""
    HONOURED = "honoured"
    """All marketing is off."""
    OVERRIDDEN = "overridden"
    """The person has turned all marketing on, which is more specific than the signal."""


def gpc_status(policy: GpcPolicy, facts: Sequence[ScopeFact]) -> GpcStatus:
    """The status of the signal, given the exact facts of the address (I9)."""
    if is_opted_out_of_all_marketing(facts):
        return GpcStatus.HONOURED
    if policy is GpcPolicy.OFFER:
        return GpcStatus.OFFERED
    return GpcStatus.OVERRIDDEN if _opted_in_to_all_marketing(facts) else GpcStatus.PENDING


def _opted_in_to_all_marketing(facts: Sequence[ScopeFact]) -> bool:
    """Whether the person has ever turned all marketing on, given that it is on now."""
    return any(fact.exact and fact.scope == ALL_MARKETING and fact.state.lift for fact in facts)
