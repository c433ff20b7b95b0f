"""A setting holds a ring of keys as `id:key,id2:key2`, where a new key has a new id."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Sequence

from preference_center.core.errors import ConfigError

KEY_BYTES = 32
KeyRing = Sequence[tuple[str, bytes]]
_KEY_ID_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,32}")


def parse_ring(text: str) -> list[tuple[str, bytes]]:
    """Read a setting `id:base64url,id2:base64url`, in its order.

    Raises ConfigError, whose message has the entry's position and id, never the key.
    """
    ring = []
    for position, entry in enumerate(text.split(","), start=1):
        key_id, colon, encoded = entry.strip().partition(":")
        if not colon or not _KEY_ID_PATTERN.fullmatch(key_id):
            raise ConfigError(
                f"Key {position}: write id:key, the id of 1 to 32 letters, digits and _.-"
            )
        try:
            padded = encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4)
            key = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ConfigError(f"Key {position} ({key_id}): the key is not base64url.") from None
        ring.append((key_id, key))
    validate_ring("ring", ring)
    return ring


OPT_OUT_ONLY = ":opt-out-only"
"""Behind an entry of LINK_KEYS: the key leaked, and its links only opt out."""


def parse_link_ring(text: str) -> tuple[list[tuple[str, bytes]], frozenset[str]]:
    """LINK_KEYS, and the ids of the keys that only opt out. Raises as `parse_ring`."""
    entries = [entry.strip() for entry in text.split(",")]
    ring = parse_ring(",".join(entry.removesuffix(OPT_OUT_ONLY) for entry in entries))
    marked = [entry.endswith(OPT_OUT_ONLY) for entry in entries]
    return ring, frozenset(
        key_id for (key_id, _), is_marked in zip(ring, marked, strict=True) if is_marked
    )


def new_ring_entry(key_id: str) -> str:
    """A fresh random key in the form that `parse_ring` reads. Raises ConfigError on a bad id."""
    key = secrets.token_bytes(KEY_BYTES)
    entry = f"{key_id}:{base64.urlsafe_b64encode(key).decode().rstrip('=')}"
    parse_ring(entry)
    return entry


def validate_ring(name: str, ring: KeyRing) -> None:
    """Raise ConfigError, which calls the ring `name`, for an empty one or an unusable entry."""
    if not ring:
        raise ConfigError(f"The {name} is empty: give it a key.")
    ids = [key_id for key_id, _ in ring]
    if len(set(ids)) != len(ids):
        raise ConfigError(f"The {name} uses an id twice: a new key needs a new id.")
    for key_id, key in ring:
        if not _KEY_ID_PATTERN.fullmatch(key_id):
            raise ConfigError(f"The {name}: an id is 1 to 32 letters, digits and _.-")
        if len(key) != KEY_BYTES:
            raise ConfigError(
                f"The {name}: the key {key_id} has {len(key)} bytes, it must have {KEY_BYTES}."
            )
