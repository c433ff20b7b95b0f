"""MailerSend."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="mailersend",
    title="MailerSend",
    connector=f"{__name__}.connector:SPEC",
    webhook=f"{__name__}.webhook:MailerSendWebhookSource",
)
