"""What the person who imports a file must state about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base.presets import ImportPreset, MeaningFilter
from preference_center.lists.rules.date_formats import (
    DateFormat,
    UnreadableDates,
    parse_date_format,
)
from preference_center.lists.rules.scopes import ScopeMap

_PLAN_DIGITS = 12


class LegalBasis(StrEnum):
    """The legal basis for writing to a person."""

    CONSENT = "consent"
    EXISTING_CUSTOMER = "existing_customer"
    """Similar products, until the person objects (Directive 2002/58/EC 13(2))."""


@dataclass(frozen=True, slots=True)
class ImportInstructions:
    """How to read a file, and what it does not state itself.

    `source`, `wording`, `language` and `legal_basis` apply to rows that have none. `zone` (IANA)
    is the zone of times without one; `date_formats` are read besides those of every file.
    `address_column` and `date_column` name columns of the file that have no usual name.
    `received_at` is when the list reached the company, if that is not now.
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
    address_column: str = ""
    date_column: str = ""
    date_formats: tuple[DateFormat, ...] = ()
    unreadable_dates: UnreadableDates = UnreadableDates.REFUSE

    def check(self) -> None:
        """Raises InvalidInput if something is missing that only a person can decide."""
        if self.preset.requires_meaning and self.meaning_filter is None:
            raise InvalidInput(
                f"a file of {self.preset.name} does not state the meaning of its rows:"
                " choose opt-outs or subscriptions"
            )
        if self.preset.is_hashed and self.meaning_filter is MeaningFilter.SUBSCRIPTIONS:
            raise InvalidInput("a hash can't be subscribed: choose opt-outs")
        if self.date_column and not any(each.date_columns for each in self.preset.meanings):
            raise InvalidInput(
                f"a file of {self.preset.name} has no dates: use the preset generic-list"
            )

    def default_evidence(self, name: str) -> str:
        """The evidence of this name for rows that have none."""
        return str(getattr(self, name) or "")

    def to_json(self) -> dict[str, Any]:
        """The JSON that is stored. Contains no personal data."""
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
            "address_column": self.address_column,
            "date_column": self.date_column,
            "date_formats": [each.pattern for each in self.date_formats],
            "unreadable_dates": self.unreadable_dates,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], preset: ImportPreset) -> ImportInstructions:
        """Parse the output of `to_json`; `preset` is the one that `stored["preset"]` names."""
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
            address_column=stored.get("address_column", ""),
            date_column=stored.get("date_column", ""),
            date_formats=tuple(map(parse_date_format, stored.get("date_formats", ()))),
            unreadable_dates=UnreadableDates(
                stored.get("unreadable_dates", UnreadableDates.REFUSE)
            ),
        )

    def plan_id(self, file_digest: bytes) -> str:
        """A short id of these instructions for that file; it changes if either does."""
        instructions_json = json.dumps(self.to_json(), sort_keys=True).encode()
        return hashlib.sha256(file_digest + instructions_json).hexdigest()[:_PLAN_DIGITS]
