"""Klaviyo."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="klaviyo",
    title="Klaviyo",
    connector=f"{__name__}.connector:SPEC",
    webhook=f"{__name__}.webhook:KlaviyoWebhookSource",
)
