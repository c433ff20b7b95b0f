"""HubSpot."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="hubspot",
    title="HubSpot",
    connector=f"{__name__}.connector:SPEC",
    webhook=f"{__name__}.webhook:HubSpotWebhookSource",
    import_presets=f"{__name__}.import_presets:PRESETS",
)
