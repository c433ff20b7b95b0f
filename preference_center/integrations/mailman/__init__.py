"""Mailman."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="mailman",
    title="GNU Mailman 3",
    connector=f"{__name__}.connector:SPEC",
)
