"""A site of the catalogue, and whether a request comes from it."""

from __future__ import annotations

from flask import abort, request

from preference_center.catalogue import Brand, Site
from preference_center.infra.context import services
from preference_center.web.languages import set_contact_language, set_wording
from preference_center.web.pages.networks import network_of
from preference_center.web.pages.rendering import catalogue_or_empty

SITE_RATE = "30000 per minute"
SENDER_RATE = "3000 per minute"
NETWORK_RATE = "60 per minute"
"""Choices that are recorded: of one site, of it from one sender, and from one visitor's network.

Anybody can send one, and none is worth anything to a forger; the rates keep the table small. The
sender, mostly the site's own server, is the network that connects. It alone says which visitors
it sends for, so each of them is counted by sender: nobody else can use up their rate.
"""


def find_site(key: str) -> tuple[Site, Brand]:
    """The site and its brand, whose wording the rest of the request has. Responds 404 if unknown.

    Its language is the query's `language`, unless the person has switched.
    """
    catalogue = catalogue_or_empty()
    site = catalogue.sites.get(key) or abort(404)
    brand = catalogue.brands[site.brand]
    set_wording(brand.wording)
    set_contact_language(request.args.get("language"))
    return site, brand


def is_foreign(site: Site) -> bool:
    """Whether a page of somebody else sent this request (RFC 6454, else Fetch Metadata).

    The choice of a browser is not secret, but no other site may make it. Browsers that send
    neither header are old, and are believed.
    """
    origin = request.headers.get("Origin", "null")
    if origin != "null":
        return origin not in site.origins
    return request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}


def within_rates(site: Site) -> bool:
    """Whether one more choice may be recorded; counts it.

    Networks are counted by keyed digests for a minute, and stored nowhere.
    """
    context = services()
    limiter, digest = context.limiter, context.keys.digest
    sender = network_of(request.remote_addr)
    visitor = network_of(request.headers.get("X-Forwarded-For", "").partition(",")[0].strip())
    if visitor is not None:
        key = digest(f"network:{visitor} by {sender}").hex()
        if not limiter.hit(NETWORK_RATE, "consent-from", key):
            return False
    key = digest(f"network:{sender}").hex()
    return (
        limiter.acquire(SENDER_RATE, "consent-by", site.key, key).allowed
        and limiter.acquire(SITE_RATE, "consent-site", site.key).allowed
    )
