"""`connect` makes the connector of a stored destination, with its rate limit and its lease.

This is the composition root of connectors.

A lease says how long a worker may act on what it has claimed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.destinations.rules.plan import channels_by_topic
from preference_center.destinations.rules.states import Destination
from preference_center.infra.company_webhooks import ALLOW_PRIVATE
from preference_center.infra.context import services
from preference_center.integrations.base.contract import (
    Connector,
    DestinationConfig,
    RateLimit,
)
from preference_center.integrations.base.integration import RATE_SETTING, ConnectorSpec
from preference_center.integrations.registry import (
    DestinationConfigError,
    get_spec,
    make_connector,
)

log = structlog.get_logger()

MAX_FIRST_WAIT = 1.0
"""Seconds that a worker's batch waits for its first request; beyond, it does other work."""


LEASE_DURATION = timedelta(seconds=90)
"""How long a worker holds a batch; one exchange with a tool (30 s) ends well within it."""


MAX_EXCHANGE_DURATION = timedelta(seconds=30)


SETTLE_MARGIN = timedelta(seconds=10)
"""Time left after the last exchange, to store its outcome."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim that ends at `ends_at`, by the clock `now`."""

    ends_at: datetime
    now: Callable[[], datetime]

    def __call__(self) -> bool:
        """Whether it outlasts an exchange that starts now."""
        return self.now() + MAX_EXCHANGE_DURATION < self.ends_at

    def max_wait(self) -> float:
        """Seconds that a request may wait for the rate limit and still be settled in time."""
        return (self.ends_at - MAX_EXCHANGE_DURATION - SETTLE_MARGIN - self.now()).total_seconds()


ConnectorFactory = Callable[[Destination, Lease], Connector]
"""Makes a destination's connector; the lease tells it whether a request is allowed."""


def find_spec(kind: str) -> ConnectorSpec | None:
    """The description of this kind's connector; None, and logged, if it can't be loaded.

    For work on all destinations, which one of them must not stop (I3).
    """
    try:
        return get_spec(kind)
    except Exception as error:
        log.warning("integration_not_loaded", kind=kind, exc_info=error)
        return None


def connect(destination: Destination, lease: Lease | None = None) -> Connector:
    """Make the connector of `destination`. Raises DestinationConfigError for bad settings."""
    config = DestinationConfig(
        name=destination.name,
        settings=destination.settings,
        topics=destination.mapping,
        sends_service=destination.sends_service,
        channels=_topic_channels(destination),
    )
    return build_connector(destination.kind, config, lease)


def _topic_channels(destination: Destination) -> dict[str, Channel]:
    """The channel of each of its topics; empty if all are email."""
    if destination.channels <= {Channel.EMAIL}:
        return {}
    return channels_by_topic(destination.mapping, current_catalogue())


def build_connector(kind: str, config: DestinationConfig, lease: Lease | None = None) -> Connector:
    """Make a connector of `kind`. Raises DestinationConfigError for bad settings.

    Without a lease its requests may wait for the rate limit without end.
    """
    # Imported late, as connectors are: a process that calls no tool needs no HTTP client, and no
    # client of Redis for the tool's rate.
    from preference_center.destinations.token_buckets import (  # noqa: PLC0415
        TokenBucket,
        token_buckets,
    )
    from preference_center.integrations.base.http import HttpContext  # noqa: PLC0415

    http = HttpContext(
        now=services().now,
        allow_private=os.environ.get(ALLOW_PRIVATE) == "1",
        private_networks=services().settings.reachable_networks,
        file_root=Path(services().settings.file_drop_root),
        rate_limiter=TokenBucket(
            token_buckets(),
            config.name,
            _rate_limit(kind, config),
            math.inf if lease is None else MAX_FIRST_WAIT,
        ),
    )
    if lease is not None:
        http = replace(http, lease_valid=lease, max_wait=lease.max_wait)
    return make_connector(kind, config, http)


def _rate_limit(kind: str, config: DestinationConfig) -> RateLimit | None:
    """The setting's limit, else the documented one. Raises DestinationConfigError."""
    stated = config.settings.get(RATE_SETTING)
    if stated:
        from preference_center.destinations.token_buckets import (  # noqa: PLC0415 - as above
            parse_rate_limit,
        )

        try:
            return parse_rate_limit(stated)
        except ValueError:
            problem = f"{kind}: {RATE_SETTING}: write e.g. '10 per second' or '500 per minute'"
            raise DestinationConfigError(problem) from None
    return get_spec(kind).capabilities.rate_limit
