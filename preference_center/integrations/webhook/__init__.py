"""Signed webhooks to a company's own programs."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="webhook",
    title="Webhook",
    connector=f"{__name__}.connector:SPEC",
)
