"""Which imported subscriptions count: those with evidence of what the person agreed to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from preference_center.catalogue import Topic, TopicDefault, UnprovenImportPolicy
from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidInput
from preference_center.ledger.rules import EARLIEST_TIME, ConsentEvidence
from preference_center.lists.rules.instructions import ImportInstructions, LegalBasis

UNPROVEN = "unproven"

_MAX_LENGTHS = {"source": 300, "wording": 4000, "language": 35}


def build_subscription_evidence(
    given: Mapping[str, str],
    instructions: ImportInstructions,
    address: Address,
    topic: Topic,
    occurred_at: datetime | None,
    policy: UnprovenImportPolicy,
    policy_shown: str = "",
) -> tuple[datetime, dict[str, str]]:
    """When the subscription counts from, and the evidence to keep.

    A consent needs date, source, wording and language. An existing customer needs date and
    source, and a topic that is opt-out by default. What lacks some of it is refused or marked,
    by the catalogue's policy; without a date it counts as older than any opt-out. `policy_shown`
    is the version of the privacy policy, by `check_policy_shown`. Raises InvalidInput with the
    reason.
    """
    evidence_values = {
        name: given.get(name) or instructions.default_evidence(name) for name in _MAX_LENGTHS
    }
    for name, longest in _MAX_LENGTHS.items():
        if len(evidence_values[name]) > longest or "\x00" in evidence_values[name]:
            raise InvalidInput(f"{name} is longer than {longest} characters, or unprintable")
    basis = _basis(given.get("legal_basis") or instructions.default_evidence("legal_basis"))
    if topic.retired:
        raise InvalidInput(f"the topic {topic.key} is retired: nobody can subscribe any more")
    if basis is LegalBasis.EXISTING_CUSTOMER and topic.default is TopicDefault.OPT_IN:
        raise InvalidInput(
            f"the topic {topic.key} needs a consent; being an existing customer is not one"
        )
    lacking = _missing_evidence(evidence_values, basis, occurred_at)
    if lacking and policy is UnprovenImportPolicy.REFUSE:
        raise InvalidInput(f"no evidence: {', '.join(lacking)} missing{_remedy(lacking)}")
    counts_from = occurred_at or EARLIEST_TIME
    proof = ConsentEvidence(
        evidence_values["source"],
        evidence_values["wording"],
        evidence_values["language"],
        counts_from,
        policy_shown,
    )
    kept = {name: value for name, value in proof.to_evidence(address).items() if value}
    if basis:
        kept["legal_basis"] = basis.value
    if lacking:
        kept |= {"proof": UNPROVEN, "missing": ", ".join(lacking)}
    return counts_from, kept


def _basis(text: str) -> LegalBasis | None:
    word = text.strip().casefold().replace(" ", "_").replace("-", "_")
    try:
        return LegalBasis(word) if word else None
    except ValueError:
        raise InvalidInput("the legal basis is consent or existing_customer") from None


def _missing_evidence(
    given: Mapping[str, str], basis: LegalBasis | None, occurred_at: datetime | None
) -> list[str]:
    needed = ["source"]
    if basis is not LegalBasis.EXISTING_CUSTOMER:
        needed += ["wording", "language"]
    lacking = [] if occurred_at else ["date"]
    lacking += [] if basis else ["legal basis"]
    return lacking + [name for name in needed if not given[name]]


def _remedy(missing: list[str]) -> str:
    found = [name for name in missing if name != "date"]
    return f" (state what applies to all such rows: {', '.join(found)})" if found else ""
