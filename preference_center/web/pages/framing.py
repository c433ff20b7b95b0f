"""Showing pages in a frame of another site, which the catalogue has to name."""

from __future__ import annotations

from flask import Response, g, request

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import cached_catalogue
from preference_center.infra.context import CROSS_SITE_COOKIE

FRAMEABLE = frozenset(
    {
        "pages.preferences",
        "pages.open_portal_link",
        "pages.unsubscribe",
        "pages.opt_out_status",
        "pages.submit_survey",
        "pages.request_link",
    }
)
"""Endpoints of pages that may be framed: to choose, to opt out, and to see what came of it.

Never those about rights, nor one that an emailed link opens: they belong in a window of their
own, where the address bar says whose they are.
"""

_NOWHERE = "frame-ancestors 'none'"


def allow_frames(response: Response) -> None:
    """Let the sites that the catalogue names for this host frame this page, and use its cookie.

    In a frame of another site browsers send a cookie only as `SameSite=None`; `Partitioned`
    keeps it to that one site, so that it can't follow anyone to another.
    """
    catalogue = cached_catalogue()  # that of the view; a response waits for no further query
    if catalogue is None or request.endpoint not in FRAMEABLE:
        return
    origins = _origins_of_host(catalogue, request.host.partition(":")[0])
    if not origins:
        return
    policy = response.headers["Content-Security-Policy"]
    allowed = policy.replace(_NOWHERE, f"frame-ancestors {' '.join(origins)}")
    response.headers["Content-Security-Policy"] = allowed
    if request.headers.get("Sec-Fetch-Dest") == "iframe":
        setattr(g, CROSS_SITE_COOKIE, True)


def _origins_of_host(catalogue: Catalogue, host: str) -> tuple[str, ...]:
    """Those of the brand of this host; else of all brands without a host of their own."""
    brands = catalogue.brands.values()
    of_host = [brand for brand in brands if brand.host == host] or [
        brand for brand in brands if brand.host is None
    ]
    return tuple(dict.fromkeys(origin for brand in of_host for origin in brand.frame_origins))
