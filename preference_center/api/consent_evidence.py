"""The evidence that a sender passes on, read once for all that needs it."""

from __future__ import annotations

from datetime import datetime

from preference_center.api.problems import FieldErrors
from preference_center.api.requests import EvidenceBody
from preference_center.domain.addresses import Address
from preference_center.domain.sender_requests import ConsentEvidence, clamp_to_now


def parse_consent_evidence(
    errors: FieldErrors,
    pointer: str,
    body: EvidenceBody,
    now: datetime,
    address: Address | None = None,
) -> ConsentEvidence | None:
    """The proof of a row; None once what is wrong with it is noted, below `pointer`.

    With `address` it must not name that person (I8).
    """
    acted_at = errors.collect(f"{pointer}/occurred_at", clamp_to_now, body.occurred_at, now)
    if acted_at is None:
        return None
    proof = ConsentEvidence(body.source, body.wording, body.language, acted_at)
    if address and errors.collect(pointer, proof.to_evidence, address) is None:
        return None
    return proof
