"""Whether a supervisor that probes the web process would leave it alone."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Self

import httpx

from chaos.timing import LOST, Asked, Sample

PACE = 1.0
"""Seconds between probes."""
PATIENCE = 10.0
"""Seconds to wait for an answer."""


@dataclass(slots=True)
class Probes:
    """GET /livez again and again until the end of the block."""

    url: str
    samples: list[Sample] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ending.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ending.wait(PACE):
            begin = time.monotonic()
            try:
                status = httpx.get(f"{self.url}/livez", timeout=PATIENCE).status_code
            except httpx.TransportError:
                status = LOST
            self.samples.append(Sample(begin, time.monotonic(), status, Asked.PROBE))
