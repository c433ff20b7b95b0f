"""The evidence of events: its keyed hash and its verification (I8).

An event has the hash of its evidence and is never changed. The evidence itself is in
`event_evidence`, whose rows can be erased: what is left proves nothing about the person, but
anyone who has the evidence elsewhere, and the keys, can show that it belongs to the event.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from preference_center.core.keys import Keys
from preference_center.infra.db.transactions import Connection

_PREFIX = b"preference-center: evidence of an event\0"

_SELECT_AFTER = """
SELECT e.seq, e.id, e.evidence_hash, v.evidence
FROM event e LEFT JOIN event_evidence v ON v.event_id = e.id
WHERE e.seq > %s ORDER BY e.seq LIMIT %s
"""


class EvidenceState(StrEnum):
    """What verifying the evidence of an event found."""

    INTACT = "intact"
    MISSING = "missing"
    """Erased with the person, or expired."""
    UNHASHED = "unhashed"
    """Of an event from before there were hashes: nothing shows whether it was altered."""
    ALTERED = "altered"


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """An event and the state of its evidence."""

    seq: int
    id: UUID
    state: EvidenceState


def hash_evidence(keys: Keys, event_id: UUID, evidence: Mapping[str, str]) -> bytes:
    """The 32-byte hash that an event keeps of its evidence.

    An HMAC under the digest chain of the event's id and the evidence as JSON, with its names in
    order and without white space: without the keys, no guess of the evidence can be confirmed.
    """
    return keys.digest_sha256(_sha256(event_id, evidence))


def verify_evidence(
    connection: Connection, keys: Keys, *, after: int = 0, limit: int = 1_000
) -> list[VerifiedEvent]:
    """Compare the evidence of the next `limit` events after this seq with their hashes.

    A hash may be of any length that the digest chain had: events are not changed by a rotation.
    """
    return [
        VerifiedEvent(seq, event_id, _state(keys, event_id, stored, evidence))
        for seq, event_id, stored, evidence in connection.execute(_SELECT_AFTER, (after, limit))
    ]


def _state(
    keys: Keys, event_id: UUID, stored: bytes | None, evidence: Mapping[str, str] | None
) -> EvidenceState:
    if evidence is None:
        return EvidenceState.MISSING
    if stored is None:
        return EvidenceState.UNHASHED
    digests = keys.digests_by_length(_sha256(event_id, evidence))
    if any(hmac.compare_digest(stored, digest) for digest in digests):
        return EvidenceState.INTACT
    return EvidenceState.ALTERED


def _sha256(event_id: UUID, evidence: Mapping[str, str]) -> bytes:
    text = json.dumps(dict(evidence), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(_PREFIX + event_id.bytes + text.encode()).digest()
