"""The /v1 API: what senders ask us and tell us. docs/api.md is its reference."""

from __future__ import annotations

from preference_center.senders.routes import blueprint

__all__ = ["blueprint"]
