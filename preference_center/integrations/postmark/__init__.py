"""Postmark."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="postmark",
    title="Postmark",
    connector=f"{__name__}.connector:SPEC",
    webhook=f"{__name__}.webhook:PostmarkWebhookSource",
    import_presets=f"{__name__}.import_presets:PRESETS",
)
