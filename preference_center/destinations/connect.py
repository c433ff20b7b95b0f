"""From a stored destination to its connector: the workers' composition root."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from flask import current_app

from preference_center.destinations.rate_limit import (
    MAX_FIRST_WAIT,
    TokenBucket,
    TokenBuckets,
    parse_rate_limit,
)
from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import RateLimit
from preference_center.domain.sync.destination import Destination
from preference_center.domain.sync.plan import channels_by_topic
from preference_center.extensions import services
from preference_center.integrations.base.contract import Connector, DestinationConfig
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.spec import RATE_SETTING
from preference_center.integrations.registry import (
    CONNECTORS,
    DestinationConfigError,
    make_connector,
)
from preference_center.storage.catalogues import current_catalogue

if TYPE_CHECKING:
    from preference_center.destinations.leases import Lease

ALLOW_PRIVATE = "CONNECTORS_ALLOW_PRIVATE"
"""Environment variable of development: `1` lets webhooks reach this very machine."""


_BUCKETS_EXTENSION = "preference_center.token_buckets"


def connect(destination: Destination, lease: Lease | None = None) -> Connector:
    """The connector of `destination`. Raises SetupError when its settings are no good."""
    setup = DestinationConfig(
        name=destination.name,
        settings=destination.settings,
        topics=destination.mapping,
        sends_service=destination.sends_service,
        channels=_topic_channels(destination),
    )
    return build_connector(destination.kind, setup, lease)


def _topic_channels(destination: Destination) -> dict[str, Channel]:
    """What each of its topics is sent by."""
    if destination.channels <= {Channel.EMAIL}:
        return {}
    return channels_by_topic(destination.mapping, current_catalogue())


def build_connector(kind: str, config: DestinationConfig, lease: Lease | None = None) -> Connector:
    """The connector of `kind` for `setup`. Raises SetupError when its settings are no good.

    Without a lease its requests may wait for their turn as long as a person would.
    """
    http = HttpContext(
        now=services().now,
        allow_private=os.environ.get(ALLOW_PRIVATE) == "1",
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
    """What the setting says, else what the vendor documents. Raises SetupError."""
    stated = config.settings.get(RATE_SETTING)
    if stated:
        try:
            return parse_rate_limit(stated)
        except ValueError:
            fault = f"{kind}: {RATE_SETTING}: write it as in '10 per second' or '500 per minute'"
            raise DestinationConfigError(fault) from None
    entry = CONNECTORS.get(kind)
    return entry.capabilities.rate_limit if entry else None


def _token_buckets() -> TokenBuckets:
    """One for each process, since there is one connection to Redis behind it."""
    found = current_app.extensions.get(_BUCKETS_EXTENSION)
    if found is None:
        found = current_app.extensions[_BUCKETS_EXTENSION] = TokenBuckets(
            services().settings.redis_url
        )
    return cast("TokenBuckets", found)
