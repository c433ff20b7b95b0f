"""The links to the status page of a data-subject request. They hold no address (I12)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from preference_center.core.links import FormPurpose, Links
from preference_center.core.links.tokens import LIFETIMES, TokenPurpose


@dataclass(frozen=True, slots=True)
class RightsStatusLink:
    """What a token of the status page says."""

    request_id: UUID
    proves_control: bool
    """Whether it continues a visit that proves control of the address, and that has not expired."""


def create_rights_status_token(
    links: Links, request_id: UUID, now: datetime, visit_began_at: datetime | None = None
) -> str:
    """The token of a request's status page. It does not expire.

    With `visit_began_at` it continues the visit that made the request, for as long as that lasts.
    """
    data = {"request": str(request_id)}
    if visit_began_at is not None:
        data["visit"] = visit_began_at.isoformat()
    return links.seal_form(FormPurpose.RIGHTS_STATUS, data, now)


def rights_status_url(
    links: Links, request_id: UUID, now: datetime, host: str | None = None
) -> str:
    """The URL of a request's status page, for mails; `host` is the brand's own, if it has one."""
    token = create_rights_status_token(links, request_id, now)
    return f"{links.base_url(host)}/rights/status/{token}"


def read_rights_status_token(links: Links, token: str, now: datetime) -> RightsStatusLink:
    """What a token of the status page says. Raises InvalidLink."""
    _, data = links.open_form(FormPurpose.RIGHTS_STATUS, token, None, now)
    began_at = data.get("visit")
    lasts = began_at is not None and (
        now - datetime.fromisoformat(began_at) <= LIFETIMES[TokenPurpose.PAGE_VISIT]
    )
    return RightsStatusLink(UUID(data["request"]), proves_control=lasts)
