"""Visits of the pages with a link that proves control of the address."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from preference_center.core.addresses import Channel, parse_address

if TYPE_CHECKING:
    from flask import Flask

MESSAGE_ID = "0198f1de-7c1a-7000-8000-0000000000ab"


def proof(app: Flask, now: datetime, address: str = "jane.doe@example.com") -> str:
    """The token of a visit that began at `now`."""
    from preference_center.core.links.tokens import TokenPurpose
    from preference_center.infra.context import EXTENSION_NAME

    token: str = app.extensions[EXTENSION_NAME].links.create_one_time_token(
        TokenPurpose.PAGE_VISIT, parse_address(address, Channel.EMAIL), UUID(MESSAGE_ID), now
    )
    return token
