"""What support, compliance and monitoring see."""

from __future__ import annotations

from preference_center.console.health import blueprint

__all__ = ["blueprint"]
