"""What support, compliance and monitoring see."""

from __future__ import annotations

from preference_center.console.health import INTERNAL, PROBE_PATHS, blueprint
from preference_center.console.metrics import METRICS_PATH

__all__ = ["INTERNAL", "METRICS_PATH", "PROBE_PATHS", "blueprint"]
