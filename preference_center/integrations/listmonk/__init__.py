"""listmonk."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="listmonk",
    title="listmonk",
    connector=f"{__name__}.connector:SPEC",
    import_presets=f"{__name__}.import_presets:PRESETS",
)
