"""Several addresses of one person on one page: each is proven by a token of its own.

A portal link or a page visit may have further tokens in the query, next to the one in the path.
Nothing ties them together but that somebody holds them all: a contact's other addresses are
never added to a page, since a phone number may belong to somebody else by now (I9).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import request, url_for

from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidLink
from preference_center.core.links import FURTHER_ADDRESS_PARAMETER
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services

MAX_ADDITIONAL = 3
"""Further addresses of one page."""

ProvenLink = tuple[str, Link]
"""A token, and the link that it is for."""


def additional_tokens() -> Sequence[str]:
    """The further tokens in the query of this request."""
    return request.args.getlist(FURTHER_ADDRESS_PARAMETER)[:MAX_ADDITIONAL]


def proven_links(token: str, link: Link) -> Sequence[ProvenLink]:
    """The visit of this page and its further ones, in the order of channels, one per address.

    What does not prove control of an address, or not any more, is left out; so is everything
    else if `link` proves nothing.
    """
    found = [(token, link)]
    if link.proves_control:
        found += filter(None, map(_read_visit, additional_tokens()))
    by_address = {(each.address.channel, each.address.exact): (key, each) for key, each in found}
    by_address[link.address.channel, link.address.exact] = (token, link)
    channels = list(Channel)
    return sorted(by_address.values(), key=lambda each: channels.index(each[1].address.channel))


def page_url(token: str, visits: Sequence[ProvenLink], **values: Any) -> str:
    """The preference page of `token`, with the others of `visits`."""
    others = [key for key, _ in visits if key != token]
    additional: dict[str, Any] = {FURTHER_ADDRESS_PARAMETER: others} if others else {}
    return url_for("pages.preferences", token=token, **additional, **values)


def _read_visit(token: str) -> ProvenLink | None:
    try:
        link = services().links.read_token(token, services().now())
    except InvalidLink:
        return None
    return (token, link) if link.proves_control else None
