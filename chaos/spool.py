"""The disk of the spool, which is full and has torn records."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from preference_center.ledger.spool import SpoolFolder
from preference_center.ledger.spool.folder import SPOOL_SUFFIX
from preference_center.ledger.spool.frames import encode_frame
from tests.faults.service import Service

WARMTH = 3.0
"""Seconds in which opt-outs are spooled before the disk is full."""
TORN = encode_frame(b"torn" * 50, datetime(2026, 1, 1, tzinfo=UTC))[:-40]
"""The beginning of a record whose end never reached the disk; nobody was answered for it."""


@dataclass(frozen=True, slots=True)
class SpoolDisk:
    """That of the web processes."""

    folder: SpoolFolder

    @classmethod
    def of(cls, service: Service) -> Self:
        """Where its processes spool, and how much."""
        return cls(SpoolFolder(Path(service.extra["SPOOL_DIR"]), service.settings.spool_max_bytes))

    def fill(self) -> None:
        """Let some opt-outs be spooled, tear a record in each file, and leave no byte."""
        time.sleep(WARMTH)
        for path in self.folder.files(SPOOL_SUFFIX):
            with path.open("ab", buffering=0) as file:
                file.write(TORN)
        self._filling.touch()
        os.truncate(self._filling, self.folder.max_bytes)

    def free(self) -> None:
        """Have room again."""
        self._filling.unlink()

    @property
    def _filling(self) -> Path:
        return self.folder.path / "filling"
