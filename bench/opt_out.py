"""`POST /u/<token>`, durable, with three destinations."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

from bench.ground import TOPIC, Ground
from bench.load import Request
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links import ONE_CLICK
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services


def requests(ground: Ground, count: int) -> list[Request]:
    """One-click opt-outs, each of an address of its own."""
    with ground.app.app_context():
        return [Request(f"/u/{token}", ONE_CLICK) for token in _tokens(count)]


def _tokens(count: int) -> Iterator[str]:
    links, run = services().links, secrets.token_hex(4)
    for number in range(count):
        address = parse_address(f"person-{run}-{number}@example.com", Channel.EMAIL)
        yield links.create_token(Link(address, TOPIC, "", datetime.now(UTC)))
