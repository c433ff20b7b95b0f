"""Meta: custom audiences of an ad account."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="meta_audiences",
    title="Meta custom audiences",
    connector=f"{__name__}.connector:SPEC",
)
