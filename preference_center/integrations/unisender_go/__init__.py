"""Unisender Go."""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration

INTEGRATION = Integration(
    kind="unisender_go",
    title="Unisender Go",
    connector=f"{__name__}.webhook:SPEC",
    webhook=f"{__name__}.webhook:UnisenderGoWebhookSource",
)
