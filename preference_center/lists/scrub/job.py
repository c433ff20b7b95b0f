"""The parameters of a scrub, and its receipt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from preference_center.core.addresses import Channel


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
