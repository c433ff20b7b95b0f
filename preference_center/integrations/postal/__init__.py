"""Postal."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="postal",
    title="Postal",
    connector=f"{__name__}.webhook:SPEC",
    webhook=f"{__name__}.webhook:PostalWebhookSource",
)
