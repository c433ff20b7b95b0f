"""Reading what vendors post, and comparing what they sign: shared by all of them."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from preference_center.domain.news import Post, Unverified
from preference_center.errors import InvalidInput

_FAULT = "the body is not what the vendor promises"


def json_objects(body: bytes) -> list[dict[str, Any]]:
    """A JSON array of objects, or a single one. Raises InvalidInput, quoting nothing."""
    try:
        found = json.loads(body)
    except ValueError:
        raise InvalidInput(_FAULT) from None
    rows = found if isinstance(found, list) else [found]
    if not all(isinstance(row, dict) for row in rows):
        raise InvalidInput(_FAULT)
    return rows


def text(row: dict[str, Any], name: str) -> str:
    """A field as text; "" if it is missing or null."""
    value = row.get(name)
    return "" if value is None else str(value)


def moment(value: object, *, per_second: int = 1) -> datetime | None:
    """A number of seconds (or `per_second` parts of them) since 1970; None for nonsense."""
    try:
        return datetime.fromtimestamp(float(str(value)) / per_second, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def secret_of(settings: Mapping[str, str], name: str) -> str:
    """A setting without which nothing can be verified. Raises Unverified."""
    found = settings.get(name)
    if not found:
        raise Unverified(f"the destination has no setting {name}: its webhook is not read")
    return str(found)


def header(post: Post, name: str) -> str:
    """A header that a genuine request has. Raises Unverified."""
    found = post.headers.get(name)
    if not found:
        raise Unverified("the request is not signed")
    return found


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
