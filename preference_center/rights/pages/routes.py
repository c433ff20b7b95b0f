"""Route the pages on which people use their rights."""

from __future__ import annotations

from preference_center.rights.pages import RIGHTS_WITH_PAGES, rights_act
from preference_center.rights.pages.agent import authority
from preference_center.rights.pages.closed import undo_account_closing
from preference_center.rights.pages.correct import confirm_new_address, undo_new_address
from preference_center.rights.pages.identity import (
    download_access_file,
    open_rights_link,
    rights_status,
)
from preference_center.rights.pages.minor import report_minor, reported
from preference_center.rights.pages.visitor import list_rights
from preference_center.web.pages.routing import FORM, Route, with_token

ROUTES: tuple[Route, ...] = (
    *with_token("/rights", list_rights),
    Route("/rights/status/<token:token>", rights_status, FORM),
    Route("/rights/download/<token:token>", download_access_file, ("POST",)),
    Route("/rights/address/<token:token>", confirm_new_address, FORM),
    Route("/rights/moved/<token:token>", undo_new_address, FORM),
    Route("/rights/closed/<token:token>", undo_account_closing, FORM),
    Route("/rights/reported/<token:token>", reported, FORM),
    Route("/rights/authority/<token:token>", authority, FORM),
    Route("/rights/minor", report_minor, FORM, merge_slashes=True),
    # Static parts, which are matched before a token of any syntax.
    *(
        route
        for act in RIGHTS_WITH_PAGES
        for path, view in (("/rights", rights_act), ("/rights/open", open_rights_link))
        for route in with_token(f"{path}/{act}", view, FORM, act=act)
    ),
)
