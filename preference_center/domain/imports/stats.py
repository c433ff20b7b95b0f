"""The figures of an import: what plan announces and apply counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from preference_center.domain.imports.presets import Meaning

NOTHING_LIFTED = "Nothing is lifted: an import can only add."


@dataclass(slots=True)
class Tally:
    """Counts of rows, and of the things that rows say.

    `new` and `present` go by meaning and scope. `present` rows tell what the ledger knows
    already. `undated` "no"s had no date that could be read and count from the import on.
    `stays_off` are new subscriptions of people who have said no: nothing is lifted.
    """

    rows: int = 0
    silent: int = 0
    left_out: int = 0
    refused: int = 0
    undated: int = 0
    unproven: int = 0
    stays_off: int = 0
    new: Counter[tuple[Meaning, str]] = field(default_factory=Counter)
    present: Counter[tuple[Meaning, str]] = field(default_factory=Counter)

    @property
    def total_new(self) -> int:
        """All that is new."""
        return self.new.total()

    @property
    def total_present(self) -> int:
        """All that was there already."""
        return self.present.total()

    def add(self, other: Tally) -> None:
        """Count the other in."""
        for name in _PLAIN:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.new.update(other.new)
        self.present.update(other.present)

    def to_json(self) -> dict[str, Any]:
        """As it is stored and shown."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "new": _list(self.new),
            "already_there": _list(self.present),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Tally:
        """What `to_json` wrote; zeros from nothing."""
        plain = {name: stored.get(name, 0) for name in _PLAIN}
        new, present = _counter(stored.get("new")), _counter(stored.get("already_there"))
        return cls(**plain, new=new, present=present)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.rows:>12,}  rows read"
        yield f"{self.total_new:>12,}  new"
        yield from (f"{count:>12,}    {_name(key)}" for key, count in sorted(self.new.items()))
        yield f"{self.total_present:>12,}  already there"
        yield from (f"{count:>12,}    {_name(key)}" for key, count in sorted(self.present.items()))
        yield f"{self.refused:>12,}  refused"
        for count, what in (
            (self.silent, "rows that say nothing for an import"),
            (self.left_out, "left out, as you said"),
            (self.undated, "noes without a date that can be read: they count from the import on"),
            (self.unproven, "new subscriptions without evidence, marked as unproven"),
        ):
            if count:
                yield f"{count:>12,}  {what}"
        yield NOTHING_LIFTED
        if self.stays_off:
            yield f"{self.stays_off:,} of the new subscriptions stay off: these people said no."


_PLAIN = ("rows", "silent", "left_out", "refused", "undated", "unproven", "stays_off")


def _name(key: tuple[Meaning, str]) -> str:
    return f"{key[0]} of {key[1]}"


def _list(counter: Counter[tuple[Meaning, str]]) -> list[dict[str, Any]]:
    return [
        {"says": meaning.value, "scope": scope, "count": count}
        for (meaning, scope), count in sorted(counter.items())
    ]


def _counter(stored: Any) -> Counter[tuple[Meaning, str]]:
    return Counter({(Meaning(each["says"]), each["scope"]): each["count"] for each in stored or ()})
