"""Reports of a company's own programs as Standard Webhooks."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="standard_webhooks",
    title="Standard Webhooks, of your own programs",
    connector=f"{__name__}.webhook:SPEC",
    webhook=f"{__name__}.webhook:StandardWebhookSource",
)
