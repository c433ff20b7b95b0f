"""The URL that a tool is to post its events to."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.infra.context import services
from preference_center.integrations.base.webhook import SECRET_SETTING
from preference_center.integrations.registry import find_webhook


def webhook_url(name: str, kind: str, settings: Mapping[str, str]) -> str | None:
    """The URL without the secret itself; None if tools of this kind have no webhook."""
    webhook = find_webhook(kind)
    if webhook is None:
        return None
    url = f"{services().links.public_url}/in/{name}"
    if webhook.secret_in_path and settings.get(SECRET_SETTING):
        url += f"/{SECRET_SETTING.upper()} (append the secret itself)"
    return url
