"""What monitoring and orchestrators ask: probes and metrics."""

from __future__ import annotations

from preference_center.probes.health import INTERNAL, LISTENING_KEY, PROBE_PATHS, blueprint
from preference_center.probes.metrics import METRICS_PATH
from preference_center.probes.readiness import ListeningPort

__all__ = [
    "INTERNAL",
    "LISTENING_KEY",
    "METRICS_PATH",
    "PROBE_PATHS",
    "ListeningPort",
    "blueprint",
]
