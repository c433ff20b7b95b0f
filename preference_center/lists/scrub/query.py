"""These classes hold the question that a scrub answers, its parameters, result and receipt."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from preference_center.catalogue import MessageType, Topic
from preference_center.core.addresses import Address, Channel, KeyKind
from preference_center.core.errors import InvalidAddress
from preference_center.core.keys import Keys
from preference_center.core.tabular import parse_cell
from preference_center.decisions.rules import Decision, decide

REMOVED_COLUMNS = ("removed_rule", "removed_reason", "removed_scope", "removed_since")
"""The columns that are added to a removed row."""


@dataclass(frozen=True, slots=True)
class DecisionQuery:
    """May this message be sent to these people now? As for `POST /v1/decisions`."""

    message: MessageType
    topic: Topic | None
    channel: Channel
    region: str
    now: datetime
    keys: Keys = field(repr=False)
    match_md5: bool
    """Whether addresses that are only known by an MD5 must be looked for."""

    @property
    def default_decision(self) -> Decision:
        """The decision for an address without any facts."""
        return decide(self.message, self.topic, (), self.now)

    @property
    def now_us(self) -> int:
        """The current time, in microseconds since 1970."""
        seconds = int(self.now.timestamp())
        return seconds * 1_000_000 + self.now.microsecond

    def find_digests(self, cell: str) -> list[tuple[int, str]] | None:
        """Every digest under which a cell's address may be stored, with its kind (I9).

        None if it contains no address (I11). Where it may mean a second one, see `parse_cell`,
        that one's opt-outs count as those of another form: they deny, and its consents and lifts
        do not count.
        """
        try:
            address, *others = parse_cell(cell, self.channel, self.region)
        except InvalidAddress:
            return None
        found = self._digests(address)
        for other in others:
            wide = ((kind & ~KeyKind.EXACT, digest) for kind, digest in self._digests(other))
            found += ((kind, digest) for kind, digest in wide if kind)
        return found

    def parse_cells(self, cells: Iterable[str]) -> tuple[list[tuple[str, int, str]], list[str]]:
        """The digests of each cell, as `find_digests` has them; the cells without an address."""
        found: list[tuple[str, int, str]] = []
        unreadable: list[str] = []
        for cell in cells:
            digests = self.find_digests(cell)
            if digests is None:
                unreadable.append(cell)
            else:
                found += ((cell, *digest) for digest in digests)
        return found, unreadable

    def _digests(self, address: Address) -> list[tuple[int, str]]:
        found = [*self.keys.match_keys(address).items()]
        found += self.keys.earlier_match_keys(address).items()
        if self.match_md5:
            found += self.keys.md5_keys(address).items()
        return [(int(kind), digest.hex()) for digest, kind in found]


@dataclass(frozen=True, slots=True)
class ScrubCounts:
    """How many rows there were, and how many were removed by which rule."""

    rows: int
    clean: int
    removed: Mapping[str, int]


ScrubProgress = Callable[[str, float], None]
"""Called with the current step, and the part of it that is done (0 to 1)."""


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """Where an engine writes; `work_folder` is for temporary files."""

    clean_path: Path
    removed_path: Path
    work_folder: Path


def count_by_rule(found: Sequence[tuple[str, int]]) -> dict[str, int]:
    """The number of rows that each rule removed, the most frequent first."""
    counted: Counter[str] = Counter()
    for rule, n in found:
        counted[str(rule)] += n
    return {rule: n for rule, n in counted.most_common() if n}


class ScrubEngine(StrEnum):
    """The engine that scrubs."""

    DUCKDB = "duckdb"
    SPARK = "spark"


@dataclass(frozen=True, slots=True)
class ScrubJob:
    """What to scrub and where to write it."""

    list_path: Path
    """A file; for Spark, a folder of files too."""
    clean_path: Path
    removed_path: Path
    receipt_path: Path | None
    snapshot_path: Path
    message_type: str
    channel: Channel | None = None
    """By default that of the message's topic, or email."""
    address_column: str | None = None
    delimiter: str | None = None
    has_header: bool = True
    encoding: str = "utf-8"
    max_snapshot_age: timedelta = timedelta(hours=24)
    engine: ScrubEngine = ScrubEngine.DUCKDB
    spark_master: str | None = None
    """Spark's master; by default that of its own configuration."""


@dataclass(frozen=True, slots=True)
class ReceiptFile:
    """A file that was read or written; `sha256` is of its bytes."""

    name: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ScrubReceipt:
    """What was done, to be kept with the mailing. Contains no address and no key."""

    message_type: str
    topic: str | None
    channel: str
    engine: str
    started_at: str
    finished_at: str
    snapshot_taken_at: str
    watermark: str
    catalogue_version: int
    norm_version: int
    list: ReceiptFile
    clean: ReceiptFile
    removed: ReceiptFile
    removed_by_rule: Mapping[str, int]

    def to_json(self) -> str:
        """The receipt as it is written."""
        return json.dumps(asdict(self), indent=2) + "\n"
