"""From a stored destination to its connector: the workers' composition root."""

from __future__ import annotations

import os
from collections.abc import Callable

from preference_center.extensions import services
from preference_center.storage.destinations import Destination
from workers.connectors.base import Connector, Setup
from workers.connectors.http import Http
from workers.connectors.registry import make

ALLOW_PRIVATE = "CONNECTORS_ALLOW_PRIVATE"
"""Environment variable of development: `1` lets webhooks reach this very machine."""


def connect(destination: Destination, alive: Callable[[], bool] = lambda: True) -> Connector:
    """The connector of `destination`. Raises SetupError when its settings are no good."""
    setup = Setup(
        name=destination.name,
        settings=destination.settings,
        topics=destination.mapping,
        sends_service=destination.sends_service,
    )
    return connector(destination.kind, setup, alive)


def connector(kind: str, setup: Setup, alive: Callable[[], bool] = lambda: True) -> Connector:
    """The connector of `kind` for `setup`. Raises SetupError when its settings are no good."""
    http = Http(alive=alive, now=services().now, allow_private=os.environ.get(ALLOW_PRIVATE) == "1")
    return make(kind, setup, http)
