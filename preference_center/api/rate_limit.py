"""How often a key may ask, and the headers that say so.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

from flask import Response, g

from preference_center.api.problems import RATE_LIMITED, ApiError
from preference_center.extensions import Services
from preference_center.rate_limiter import UNLIMITED, RateLimitStatus
from preference_center.storage.access.api_keys import ApiKey


def consume_allowance(key: ApiKey, context: Services) -> RateLimitStatus | None:
    """Count this request; None if the key has no limit. Raises Refused if it asked too often."""
    rate = key.rate or context.settings.api_rate
    if rate == UNLIMITED:
        return None
    allowance = context.limiter.acquire(rate, "api", key.name)
    if not allowance.allowed:
        set_problem_allowance(allowance)
        raise ApiError(
            RATE_LIMITED, RATE_LIMITED.remedy, {"Retry-After": str(allowance.reset_seconds)}
        )
    return allowance


def add_rate_limit_headers(response: Response, allowance: RateLimitStatus | None) -> Response:
    """Put into the answer what is left."""
    if allowance:
        rate, left = allowance.rate, f'"key";r={allowance.remaining};t={allowance.reset_seconds}'
        response.headers.add("RateLimit-Policy", f'"key";q={rate.limit};w={rate.window_seconds}')
        response.headers.add("RateLimit", left)
    return response


def set_problem_allowance(allowance: RateLimitStatus | None) -> None:
    """Have the problem that this request ends in tell it: see `told`."""
    g.allowance = allowance


def problem_allowance() -> RateLimitStatus | None:
    """What `tell_problem` was given."""
    allowance: RateLimitStatus | None = g.get("allowance")
    return allowance
