"""`/w/<token>`: where is my opt-out? The page, and the receipt to keep. They only read (I7).

A link that is too old to prove that the address is still its reader's shows only what it
could itself have turned off (docs/decisions).
"""

from __future__ import annotations

from datetime import datetime

from flask import Response
from flask.typing import ResponseReturnValue

from preference_center.domain.catalogue import Catalogue
from preference_center.domain.events import ALL_MARKETING
from preference_center.errors import ExpiredLink
from preference_center.extensions import services
from preference_center.links import Link
from preference_center.pages.ledger_changes import only_says_no
from preference_center.pages.opt_out_status import Whereabouts, whereabouts
from preference_center.pages.preference_page import old_link_page
from preference_center.pages.receipt import receipt
from preference_center.pages.rendering import catalogue_or_empty, link_page, speak_to


def where(token: str = "") -> ResponseReturnValue:
    """The page; to who holds a revoked link, only that it was."""
    now, catalogue = services().now(), catalogue_or_empty()
    link = services().links.read(token, now)
    speak_to(link.address)
    if link.revoked:
        return old_link_page(token, link)
    return link_page(
        "opt_out_status",
        token,
        link,
        found=_found(link, catalogue, now),
        catalogue=catalogue,
        now=now,
        shows_all=_shows_all(link, now),
    )


def receipt_file(token: str = "") -> Response:
    """The same for machines, to keep (docs/receipts.md). Raises ExpiredLink if revoked."""
    now, catalogue = services().now(), catalogue_or_empty()
    link = services().links.read(token, now)
    speak_to(link.address)
    if link.revoked:
        raise ExpiredLink("this link was revoked")
    return receipt(link.address, _found(link, catalogue, now), catalogue, now)


def _found(link: Link, catalogue: Catalogue, now: datetime) -> Whereabouts:
    scopes = None if _shows_all(link, now) else {link.scope, ALL_MARKETING}
    return whereabouts(link.address, catalogue, now, scopes)


def _shows_all(link: Link, now: datetime) -> bool:
    return not link.expired and not only_says_no(link, now)
