"""Make the connector of a stored destination: the composition root of connectors."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from flask import current_app

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.destinations.leases import Lease
from preference_center.destinations.rate_limit import (
    MAX_FIRST_WAIT,
    TokenBucket,
    TokenBuckets,
    parse_rate_limit,
)
from preference_center.destinations.rules.destination import Destination
from preference_center.destinations.rules.plan import channels_by_topic
from preference_center.infra.company_webhooks import ALLOW_PRIVATE
from preference_center.infra.context import services
from preference_center.integrations.base.contract import Connector, DestinationConfig, RateLimit
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.integration import RATE_SETTING
from preference_center.integrations.registry import (
    DestinationConfigError,
    get_spec,
    make_connector,
)

ConnectorFactory = Callable[[Destination, Lease], Connector]
"""Makes a destination's connector; the lease tells it whether a request is allowed."""

BUCKETS_EXTENSION = "preference_center.token_buckets"


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
    http = HttpContext(
        now=services().now,
        allow_private=os.environ.get(ALLOW_PRIVATE) == "1",
        private_networks=services().settings.reachable_networks,
        rate_limiter=TokenBucket(
            _token_buckets(),
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
        try:
            return parse_rate_limit(stated)
        except ValueError:
            problem = f"{kind}: {RATE_SETTING}: write e.g. '10 per second' or '500 per minute'"
            raise DestinationConfigError(problem) from None
    return get_spec(kind).capabilities.rate_limit


def _token_buckets() -> TokenBuckets:
    """The process's token buckets, which share one connection to Redis."""
    buckets = current_app.extensions.get(BUCKETS_EXTENSION)
    if buckets is None:
        buckets = current_app.extensions[BUCKETS_EXTENSION] = TokenBuckets(
            services().settings.redis_url
        )
    return cast("TokenBuckets", buckets)
