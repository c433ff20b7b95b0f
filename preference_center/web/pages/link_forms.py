"""What a page seals to have it sent back, tied to the link of the page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from preference_center.core.errors import InvalidLink
from preference_center.core.links import FormPurpose
from preference_center.core.links.tokens import INVALID_LINK_MESSAGE
from preference_center.infra.context import services
from preference_center.web.pages.rendering import link_fingerprint


def seal_for_link(purpose: FormPurpose, token: str, data: Mapping[str, Any], now: datetime) -> str:
    """As `Links.seal_form`, for the page of `token` only."""
    return services().links.seal_form(purpose, {"link": link_fingerprint(token), **data}, now)


def open_for_link(
    purpose: FormPurpose, token: str, sealed: str, max_age: timedelta | None, now: datetime
) -> tuple[datetime, dict[str, Any]]:
    """As `Links.open_form`. Raises InvalidLink also for what another link's page has sealed."""
    signed_at, data = services().links.open_form(purpose, sealed, max_age, now)
    if data.get("link") != link_fingerprint(token):
        raise InvalidLink(INVALID_LINK_MESSAGE)
    return signed_at, data
