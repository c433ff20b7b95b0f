"""What a link lets its holder do on the pages (docs/decisions/0005)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from preference_center.core.addresses import Channel

FULL_ACCESS_PERIOD = timedelta(days=60)
"""How long a message's link gives access to the whole page."""


class OptInMethod(StrEnum):
    """How a topic can be turned on with a link."""

    IMMEDIATE = "immediate"
    CONFIRM_BY_EMAIL = "confirm_by_email"
    UNAVAILABLE = "unavailable"
    """Not possible: it would have to be confirmed by email, and none can be sent."""


def opt_in_method(channel: Channel, *, proves_control: bool, can_mail: bool) -> OptInMethod:
    """How a link to an address of `channel` can turn something on."""
    if proves_control:
        return OptInMethod.IMMEDIATE
    match channel:
        case Channel.EMAIL:
            return OptInMethod.CONFIRM_BY_EMAIL if can_mail else OptInMethod.UNAVAILABLE
        case Channel.SMS | Channel.PHONE:
            return OptInMethod.UNAVAILABLE
        case _:
            assert_never(channel)


def is_opt_out_only(
    issued_at: datetime,
    now: datetime,
    *,
    revoked: bool,
    proves_control: bool,
    has_message_id: bool,
) -> bool:
    """Whether a link may only opt out: it was revoked, or is of an old message.

    After FULL_ACCESS_PERIOD the address may have changed hands. A permanent link names no
    message and does not age; it shows the address masked, and proves no control either.
    """
    aged = has_message_id and now - issued_at > FULL_ACCESS_PERIOD
    return revoked or (not proves_control and aged)
