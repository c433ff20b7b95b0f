"""Addresses, phone numbers and hashes, as anybody may type them."""

from __future__ import annotations

from contextlib import suppress

from preference_center.core.addresses import Channel, matches, parse_address, parse_hashed_address
from preference_center.core.errors import InvalidAddress


def addresses(data: bytes) -> None:
    """What is read is read the same again, and matches itself."""
    text = data.decode("utf-8", "surrogateescape")
    for channel in Channel:
        with suppress(InvalidAddress):
            found = parse_address(text, channel)
            assert parse_address(found.exact, channel) == found
            assert matches(found, found)
            found.exact.encode()
        with suppress(InvalidAddress):
            parse_hashed_address(text, channel)
