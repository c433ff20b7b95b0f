"""What the one who imports a file has to say about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from preference_center.domain.addresses import Channel
from preference_center.domain.imports.presets import ImportPreset, MeaningFilter
from preference_center.domain.imports.scopes import ScopeMap
from preference_center.errors import InvalidInput

_PLAN_DIGITS = 12


class LegalBasis(StrEnum):
    """On what ground somebody is written to."""

    CONSENT = "consent"
    EXISTING_CUSTOMER = "existing_customer"
    """Similar products, until the person says no (Directive 2002/58/EC 13(2))."""


@dataclass(frozen=True, slots=True)
class ImportInstructions:
    """How to read a file, and what it does not say itself.

    `source`, `wording`, `language` and `legal_basis` hold for rows that have none.
    `zone` (IANA) is that of times without one. `received_at` is when the list reached the
    company, if that is not now.
    """

    preset: ImportPreset
    scopes: ScopeMap
    meaning_filter: MeaningFilter | None = None
    channel: Channel = Channel.EMAIL
    source: str = ""
    wording: str = ""
    language: str = ""
    legal_basis: LegalBasis | None = None
    zone: str = "UTC"
    encoding: str = "utf-8"
    received_at: datetime | None = None

    def check(self) -> None:
        """Raises InvalidInput if something is left open that only a person can say."""
        if self.preset.requires_meaning and self.meaning_filter is None:
            raise InvalidInput(
                f"a file of {self.preset.name} does not tell what its rows say:"
                " name opt-outs or subscriptions"
            )
        if self.preset.is_hashed and self.meaning_filter is MeaningFilter.SUBSCRIPTIONS:
            raise InvalidInput("nobody can be subscribed by a hash: name opt-outs")

    def default_evidence(self, name: str) -> str:
        """What holds for rows that have no evidence of this name."""
        return str(getattr(self, name) or "")

    def to_json(self) -> dict[str, Any]:
        """As it is stored. Holds nothing personal."""
        return {
            "preset": self.preset.name,
            "scopes": dict(self.scopes.scopes),
            "as": self.meaning_filter,
            "channel": self.channel,
            "source": self.source,
            "wording": self.wording,
            "language": self.language,
            "legal_basis": self.legal_basis,
            "time_zone": self.zone,
            "encoding": self.encoding,
            "received_at": self.received_at and self.received_at.isoformat(),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], preset: ImportPreset) -> ImportInstructions:
        """What `to_json` wrote, with the preset that `stored["preset"]` names."""
        received = stored["received_at"]
        return cls(
            preset=preset,
            scopes=ScopeMap(stored["scopes"]),
            meaning_filter=MeaningFilter(stored["as"]) if stored["as"] else None,
            channel=Channel(stored["channel"]),
            source=stored["source"],
            wording=stored["wording"],
            language=stored["language"],
            legal_basis=LegalBasis(stored["legal_basis"]) if stored["legal_basis"] else None,
            zone=stored["time_zone"],
            encoding=stored["encoding"],
            received_at=datetime.fromisoformat(received) if received else None,
        )

    def plan_id(self, file_digest: bytes) -> str:
        """A short name for these instructions on that file; it changes if either does."""
        said = json.dumps(self.to_json(), sort_keys=True).encode()
        return hashlib.sha256(file_digest + said).hexdigest()[:_PLAN_DIGITS]
