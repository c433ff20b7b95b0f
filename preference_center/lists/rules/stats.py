"""The counts of an import: those that `plan` predicts, and those of `apply`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from preference_center.integrations.base.presets import RowMeaning

NOTHING_LIFTED = "Nothing is lifted: an import can only add."


@dataclass(slots=True)
class ImportStats:
    """Counts of rows, and of their statements.

    `new` and `already_present` are by meaning and scope; the latter are in the ledger already.
    `undated` opt-outs had no readable date and count from the time of the import.
    `without_country_code` are new ones of phone numbers that were read as dialled in PHONE_REGION.
    `still_suppressed` are new subscriptions of people who have opted out: nothing is lifted.
    """

    rows: int = 0
    without_data: int = 0
    excluded: int = 0
    refused: int = 0
    undated: int = 0
    without_country_code: int = 0
    without_evidence: int = 0
    still_suppressed: int = 0
    new: Counter[tuple[RowMeaning, str]] = field(default_factory=Counter)
    already_present: Counter[tuple[RowMeaning, str]] = field(default_factory=Counter)

    @property
    def total_new(self) -> int:
        """The number of new statements."""
        return self.new.total()

    @property
    def total_already_present(self) -> int:
        """The number of statements that the ledger already has."""
        return self.already_present.total()

    def add(self, other: ImportStats) -> None:
        """Add the counts of `other`."""
        for name in _COUNT_FIELDS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.new.update(other.new)
        self.already_present.update(other.already_present)

    def to_json(self) -> dict[str, Any]:
        """The JSON that is stored, and returned by the API."""
        return {
            **{name: getattr(self, name) for name in _COUNT_FIELDS},
            "new": _counter_to_json(self.new),
            "already_present": _counter_to_json(self.already_present),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> ImportStats:
        """Parse the output of `to_json`; missing counts are 0."""
        plain = {name: stored.get(name, 0) for name in _COUNT_FIELDS}
        new, present = (
            _counter_from_json(stored.get("new")),
            _counter_from_json(stored.get("already_present")),
        )
        return cls(**plain, new=new, already_present=present)

    def report_lines(self) -> Iterator[str]:
        """The lines that commands print."""
        yield f"{self.rows:>12,}  rows read"
        yield f"{self.total_new:>12,}  new"
        yield from (f"{count:>12,}    {_label(key)}" for key, count in sorted(self.new.items()))
        yield f"{self.total_already_present:>12,}  already present"
        yield from (
            f"{count:>12,}    {_label(key)}" for key, count in sorted(self.already_present.items())
        )
        yield f"{self.refused:>12,}  refused"
        for count, what in (
            (self.without_data, "rows without data for an import"),
            (self.excluded, "excluded by the instructions"),
            (
                self.undated,
                "opt-outs, bounces and complaints without a date: they count from the import",
            ),
            (
                self.without_country_code,
                "phone numbers without a country code, read as dialled in PHONE_REGION",
            ),
            (self.without_evidence, "new subscriptions without evidence, recorded as unproven"),
        ):
            if count:
                yield f"{count:>12,}  {what}"
        yield NOTHING_LIFTED
        if self.still_suppressed:
            yield (
                f"{self.still_suppressed:,} of the new subscriptions stay off: these people "
                "have opted out."
            )


_COUNT_FIELDS = (
    "rows", "without_data", "excluded", "refused", "undated", "without_country_code",
    "without_evidence",
    "still_suppressed",
)  # fmt: skip


def _label(key: tuple[RowMeaning, str]) -> str:
    return f"{key[0]} of {key[1]}"


def _counter_to_json(counter: Counter[tuple[RowMeaning, str]]) -> list[dict[str, Any]]:
    return [
        {"meaning": meaning.value, "scope": scope, "count": count}
        for (meaning, scope), count in sorted(counter.items())
    ]


def _counter_from_json(stored: Any) -> Counter[tuple[RowMeaning, str]]:
    return Counter(
        {(RowMeaning(each["meaning"]), each["scope"]): each["count"] for each in stored or ()}
    )
