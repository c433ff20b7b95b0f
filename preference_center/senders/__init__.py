"""The /v1 API: what senders ask us and tell us. docs/api.md is its reference."""

from __future__ import annotations

from preference_center.senders.problems import respond_to_http
from preference_center.senders.routes import PREFIX, blueprint

__all__ = ["PREFIX", "blueprint", "respond_to_http"]
