"""How often a key may ask, and the headers that say so.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

from flask import Response, g

from preference_center.extensions import services
from preference_center.limiting import UNLIMITED, Allowance
from preference_center.senders.problems import RATE_LIMITED, Refused
from preference_center.storage.api_keys import ApiKey


def count(key: ApiKey) -> None:
    """Count this request. Raises Refused when the key has asked too often."""
    context = services()
    rate = key.rate or context.settings.api_rate
    if rate == UNLIMITED:
        return
    allowance = g.allowance = context.limiter.take(rate, "api", key.name)
    if not allowance.allowed:
        raise Refused(RATE_LIMITED, RATE_LIMITED.remedy, {"Retry-After": str(allowance.seconds)})


def tell(response: Response) -> Response:
    """Put into the answer what is left."""
    allowance: Allowance | None = g.get("allowance")
    if allowance:
        rate, left = allowance.rate, f'"key";r={allowance.left};t={allowance.seconds}'
        response.headers.add("RateLimit-Policy", f'"key";q={rate.amount};w={rate.seconds}')
        response.headers.add("RateLimit", left)
    return response
