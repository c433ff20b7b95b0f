"""SparkPost."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="sparkpost",
    title="SparkPost",
    connector=f"{__name__}.webhook:SPEC",
    webhook=f"{__name__}.webhook:SparkPostWebhookSource",
)
