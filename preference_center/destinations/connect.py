"""From a stored destination to its connector: the workers' composition root."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from flask import current_app

from preference_center.destinations.rate_limit import PATIENCE, Bucket, Buckets, read_rate
from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Rate
from preference_center.domain.sync.destination import Destination
from preference_center.domain.sync.plan import channels_of
from preference_center.extensions import services
from preference_center.integrations.base.contract import Connector, Setup
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.spec import RATE
from preference_center.integrations.registry import ENTRIES, SetupError, make
from preference_center.storage.catalogues import current_catalogue

if TYPE_CHECKING:
    from preference_center.destinations.leases import Lease

ALLOW_PRIVATE = "CONNECTORS_ALLOW_PRIVATE"
"""Environment variable of development: `1` lets webhooks reach this very machine."""


_BUCKETS = "preference_center.buckets"


def connect(destination: Destination, lease: Lease | None = None) -> Connector:
    """The connector of `destination`. Raises SetupError when its settings are no good."""
    setup = Setup(
        name=destination.name,
        settings=destination.settings,
        topics=destination.mapping,
        sends_service=destination.sends_service,
        channels=_channels(destination),
    )
    return connector(destination.kind, setup, lease)


def _channels(destination: Destination) -> dict[str, Channel]:
    """What each of its topics is sent by."""
    if destination.channels <= {Channel.EMAIL}:
        return {}
    return channels_of(destination.mapping, current_catalogue())


def connector(kind: str, setup: Setup, lease: Lease | None = None) -> Connector:
    """The connector of `kind` for `setup`. Raises SetupError when its settings are no good.

    Without a lease its requests may wait for their turn as long as a person would.
    """
    http = Http(
        now=services().now,
        allow_private=os.environ.get(ALLOW_PRIVATE) == "1",
        pace=Bucket(
            _buckets(), setup.name, _rate(kind, setup), math.inf if lease is None else PATIENCE
        ),
    )
    if lease is not None:
        http = replace(http, alive=lease, spare=lease.spare)
    return make(kind, setup, http)


def _rate(kind: str, setup: Setup) -> Rate | None:
    """What the setting says, else what the vendor documents. Raises SetupError."""
    stated = setup.settings.get(RATE)
    if stated:
        try:
            return read_rate(stated)
        except ValueError:
            fault = f"{kind}: {RATE}: write it as in '10 per second' or '500 per minute'"
            raise SetupError(fault) from None
    entry = ENTRIES.get(kind)
    return entry.capabilities.rate if entry else None


def _buckets() -> Buckets:
    """One for each process, since there is one connection to Redis behind it."""
    found = current_app.extensions.get(_BUCKETS)
    if found is None:
        found = current_app.extensions[_BUCKETS] = Buckets(services().settings.redis_url)
    return cast("Buckets", found)
