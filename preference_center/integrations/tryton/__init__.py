"""Tryton."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="tryton",
    title="Tryton",
    connector=f"{__name__}.connector:SPEC",
)
