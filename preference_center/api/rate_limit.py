"""How often a key may ask, and the headers that say so.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

from flask import Response, g

from preference_center.api.problems import RATE_LIMITED, Refused
from preference_center.extensions import Services
from preference_center.rate_limiter import UNLIMITED, Allowance
from preference_center.storage.access.api_keys import ApiKey


def count(key: ApiKey, context: Services) -> Allowance | None:
    """Count this request; None if the key has no limit. Raises Refused if it asked too often."""
    rate = key.rate or context.settings.api_rate
    if rate == UNLIMITED:
        return None
    allowance = context.limiter.take(rate, "api", key.name)
    if not allowance.allowed:
        tell_problem(allowance)
        raise Refused(RATE_LIMITED, RATE_LIMITED.remedy, {"Retry-After": str(allowance.seconds)})
    return allowance


def tell(response: Response, allowance: Allowance | None) -> Response:
    """Put into the answer what is left."""
    if allowance:
        rate, left = allowance.rate, f'"key";r={allowance.left};t={allowance.seconds}'
        response.headers.add("RateLimit-Policy", f'"key";q={rate.amount};w={rate.seconds}')
        response.headers.add("RateLimit", left)
    return response


def tell_problem(allowance: Allowance | None) -> None:
    """Have the problem that this request ends in tell it: see `told`."""
    g.allowance = allowance


def told() -> Allowance | None:
    """What `tell_problem` was given."""
    allowance: Allowance | None = g.get("allowance")
    return allowance
