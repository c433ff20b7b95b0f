"""Mailgun."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="mailgun",
    title="Mailgun",
    connector=f"{__name__}.connector:SPEC",
    webhook=f"{__name__}.webhook:MailgunWebhookSource",
    import_presets=f"{__name__}.import_presets:PRESETS",
)
