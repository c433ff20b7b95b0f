"""Braze."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="braze",
    title="Braze",
    connector=f"{__name__}.connector:SPEC",
    webhook=f"{__name__}.webhook:BrazeWebhookSource",
)
