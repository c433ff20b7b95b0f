"""What monitoring and orchestrators ask: probes and metrics."""

from __future__ import annotations

from preference_center.probes.health import INTERNAL, PROBE_PATHS, blueprint
from preference_center.probes.metrics import METRICS_PATH

__all__ = ["INTERNAL", "METRICS_PATH", "PROBE_PATHS", "blueprint"]
