"""Resend."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="resend",
    title="Resend",
    connector=f"{__name__}.connector:SPEC",
    webhook=f"{__name__}.webhook:ResendWebhookSource",
)
