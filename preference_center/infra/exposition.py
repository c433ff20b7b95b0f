"""The text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from preference_center.infra import instruments

CONTENT_TYPE = CONTENT_TYPE_LATEST


def render_metrics(
    collectors: Iterable[Collector] = (), shared_folder: Path | None = instruments.SHARED_FOLDER
) -> bytes:
    """What this process counts, or all workers of its server; and what `collectors` measure now."""
    registry = CollectorRegistry()
    if shared_folder is None:
        registry.register(_Counted())
    else:
        MultiProcessCollector(registry, path=str(shared_folder))  # type: ignore[no-untyped-call]
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)


class _Counted(Collector):
    """The metrics of this process as one collector."""

    def collect(self) -> Iterable[object]:  # type: ignore[override]
        return instruments.REGISTRY.collect()
