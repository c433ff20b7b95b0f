"""The room for news that comes in by mail: opt-outs sent to the mailto address of a header."""

from __future__ import annotations

from preference_center.inbound.commands import group

__all__ = ["group"]
