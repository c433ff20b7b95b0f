"""The links by which people answer what somebody else said about them. They hold no address (I12).

Each is mailed to the address that a request is about, and to nobody else: so anyone who uses it
reads that mailbox. What it may do once depends on the state of the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.links import FormPurpose, Links

ANSWER_PATHS: Mapping[FormPurpose, str] = {
    FormPurpose.RIGHTS_AUTHORITY: "authority",
    FormPurpose.RIGHTS_REPORTED: "reported",
}
"""The part of the path after `/rights/`."""
ANSWER_TIMES: Mapping[FormPurpose, timedelta] = {
    FormPurpose.RIGHTS_AUTHORITY: timedelta(days=7),
    FormPurpose.RIGHTS_REPORTED: timedelta(days=14),
}
"""How long after the request was recorded an answer is taken."""


def answer_url(
    links: Links, purpose: FormPurpose, request_id: UUID, now: datetime, host: str | None = None
) -> str:
    """The URL of the page that takes the answer; `host` is the brand's own, if it has one."""
    token = links.seal_form(purpose, {"request": str(request_id)}, now)
    return f"{links.base_url(host)}/rights/{ANSWER_PATHS[purpose]}/{token}"


def read_answer_token(links: Links, purpose: FormPurpose, token: str, now: datetime) -> UUID:
    """The id of the request, however old the link is. Raises InvalidLink."""
    _, data = links.open_form(purpose, token, None, now)
    return UUID(data["request"])
