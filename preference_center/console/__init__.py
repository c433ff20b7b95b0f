"""The room for support and compliance, and for whoever watches that the window holds."""

from __future__ import annotations

from preference_center.console.health import blueprint

__all__ = ["blueprint"]
