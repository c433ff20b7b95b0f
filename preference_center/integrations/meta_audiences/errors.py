"""What the errors of Meta's Graph API mean; most come with HTTP 400.

https://developers.facebook.com/docs/marketing-api/error-reference
https://developers.facebook.com/docs/graph-api/overview/rate-limiting
"""

from __future__ import annotations

import json
from datetime import timedelta

from preference_center.integrations.base import runtime

BAD_REQUEST = 400
_RATE_LIMITED = frozenset({4, 17, 32, 613, *range(80_000, 80_015)})
_TEMPORARY = frozenset({-1, 1, 2})
_CREDENTIALS = frozenset({10, 102, 190, 368, *range(200, 300)})
_BLOCKED_AUDIENCE = 1_713_230
_USAGE_HEADER = "x-business-use-case-usage"
_MAX_WAIT = timedelta(hours=1)


class _Error(runtime.LenientModel):
    code: int = 0
    error_subcode: int = 0


def raise_for_error(request: str, response: runtime.Response) -> None:
    """Raise what an answer with HTTP 400 means; `request` names it. Returns for any other.

    RequestRejected where its content is at fault, else DeliveryError: permanent for credentials,
    rights and an audience that Meta has blocked. Meta's own message is not repeated: it may quote
    what was sent (I12).
    """
    if response.status != BAD_REQUEST:
        return
    error = response.parse_member(_Error, "error")
    message = f"{request}: HTTP 400, error {error.code}"
    if error.error_subcode == _BLOCKED_AUDIENCE:
        raise runtime.DeliveryError(
            f"{message}: Meta has restricted this audience, so nobody can be removed from it: "
            "resolve that in the Audience Manager, or delete the audience",
            permanent=True,
        )
    if error.code in _RATE_LIMITED:
        wait = _regain_after(response.headers.get(_USAGE_HEADER, ""))
        raise runtime.DeliveryError(f"{message}, too many requests", retry_after=wait)
    if error.code in _TEMPORARY:
        raise runtime.DeliveryError(f"{message}, for now")
    if error.code in _CREDENTIALS:
        raise runtime.DeliveryError(f"{message}, credentials or rights refused", permanent=True)
    raise runtime.RequestRejected(message, response.status)


def _regain_after(usage: str) -> timedelta | None:
    """How long until requests are accepted again, by Meta's header; None if it says nothing."""
    try:
        found = json.loads(usage)
        minutes = [
            int(each.get("estimated_time_to_regain_access") or 0)
            for entries in found.values()
            for each in entries
        ]
    except (ValueError, TypeError, AttributeError):
        return None
    longest = timedelta(minutes=max(minutes, default=0))
    return min(longest, _MAX_WAIT) or None
