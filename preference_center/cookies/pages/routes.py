"""Route the pages about cookies, and the document about the browser's signal."""

from __future__ import annotations

from preference_center.cookies.pages.choice import consent_script, site_config
from preference_center.cookies.pages.page import own_cookies, site_choice
from preference_center.cookies.signal import gpc_support_document, record_gpc
from preference_center.web.pages.routing import FORM, Route, with_token

ROUTES: tuple[Route, ...] = (
    Route("/.well-known/gpc.json", gpc_support_document, endpoint="gpc", merge_slashes=True),
    *with_token("/gpc", record_gpc, ("POST",)),
    Route("/consent/<key>/config.json", site_config, merge_slashes=True),
    Route("/consent/<key>", site_choice, FORM, merge_slashes=True),
    Route("/consent.js", consent_script, merge_slashes=True),
    Route("/cookies", own_cookies, merge_slashes=True),
)
