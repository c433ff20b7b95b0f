"""The rate limit of a key, and the headers that report it.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
"""

from __future__ import annotations

from flask import Response, g

from preference_center.infra.context import Services
from preference_center.infra.redis import UNLIMITED, RateLimitStatus
from preference_center.web.api.api_keys import ApiKey
from preference_center.web.api.key_usage import count_key_use
from preference_center.web.api.problems import RATE_LIMITED, ApiError


def consume_allowance(key: ApiKey, context: Services) -> RateLimitStatus | None:
    """Count this request; None if the key has no limit. Raises ApiError above the limit."""
    rate = key.rate or context.settings.api_rate
    if rate == UNLIMITED:
        return None
    allowance = context.limiter.acquire(rate, "api", key.name)
    if not allowance.allowed:
        count_key_use(key.name, context.now(), limited=1)
        set_problem_allowance(allowance)
        raise ApiError(
            RATE_LIMITED, RATE_LIMITED.remedy, {"Retry-After": str(allowance.reset_seconds)}
        )
    return allowance


def add_rate_limit_headers(response: Response, allowance: RateLimitStatus | None) -> Response:
    """Add what remains of the rate to the response."""
    if allowance:
        rate, left = allowance.rate, f'"key";r={allowance.remaining};t={allowance.reset_seconds}'
        response.headers.add("RateLimit-Policy", f'"key";q={rate.limit};w={rate.window_seconds}')
        response.headers.add("RateLimit", left)
    return response


def set_problem_allowance(allowance: RateLimitStatus | None) -> None:
    """Keep the status for the headers of this request's problem document, if it ends in one."""
    g.allowance = allowance


def problem_allowance() -> RateLimitStatus | None:
    """The status that `set_problem_allowance` kept."""
    allowance: RateLimitStatus | None = g.get("allowance")
    return allowance
