"""The evidence that a sender passes on, read once for all that needs it."""

from __future__ import annotations

from datetime import datetime

from preference_center.api.problems import Faults
from preference_center.api.requests import Evidence
from preference_center.domain.addresses import Address
from preference_center.domain.sender_requests import Proof, past


def proof_in(
    faults: Faults, pointer: str, given: Evidence, now: datetime, address: Address | None = None
) -> Proof | None:
    """The proof of a row; None once what is wrong with it is noted, below `pointer`.

    With `address` it must not name that person (I8).
    """
    acted_at = faults.attempt(f"{pointer}/occurred_at", past, given.occurred_at, now)
    if acted_at is None:
        return None
    proof = Proof(given.source, given.wording, given.language, acted_at)
    if address and faults.attempt(pointer, proof.evidence, address) is None:
        return None
    return proof
