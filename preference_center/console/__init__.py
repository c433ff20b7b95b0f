"""What support, compliance and monitoring see."""

from __future__ import annotations

from preference_center.console.health import INTERNAL, PROBE_PATHS, blueprint

__all__ = ["INTERNAL", "PROBE_PATHS", "blueprint"]
