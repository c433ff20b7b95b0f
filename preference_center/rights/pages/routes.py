"""Route the pages on which people use their rights, and serve `/rights/<act>`, that of one right.

Which identity an act needs is for `rights.rules.identity` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.catalogue.rules.model import rights_offered
from preference_center.cookies.signal import record_signal
from preference_center.rights.pages.answers import authority, reported, undo_account_closing
from preference_center.rights.pages.ask import access, close, erase, limit, reopen, say
from preference_center.rights.pages.correct import confirm_new_address, correct, undo_new_address
from preference_center.rights.pages.identity import (
    download_access_file,
    identify,
    open_rights_link,
    rights_status,
)
from preference_center.rights.pages.others import act_for_somebody, report_minor
from preference_center.rights.pages.visitor import (
    RightsVisitor,
    contact_page,
    list_rights,
    read_visitor,
)
from preference_center.rights.person_words import AGENT_ACT
from preference_center.rights.rules.identity import may_act
from preference_center.rights.rules.requests import Extent, IdentityLevel, RequestKind
from preference_center.web.pages.rendering import catalogue_or_empty
from preference_center.web.pages.routing import FORM, Route, with_token

_VIEWS: Mapping[str, Callable[[RightsVisitor], ResponseReturnValue]] = {
    RequestKind.ACCESS.value: access,
    RequestKind.CORRECT.value: correct,
    RequestKind.ERASE.value: erase,
    RequestKind.RESTRICT.value: partial(limit, kind=RequestKind.RESTRICT),
    RequestKind.UNRESTRICT.value: partial(limit, kind=RequestKind.UNRESTRICT),
    RequestKind.CLOSE.value: close,
    RequestKind.REOPEN.value: reopen,
    RequestKind.OBJECT.value: partial(say, kind=RequestKind.OBJECT),
    RequestKind.DONT_SELL_OR_SHARE.value: partial(say, kind=RequestKind.DONT_SELL_OR_SHARE),
    RequestKind.COMPLAINT.value: partial(say, kind=RequestKind.COMPLAINT),
    AGENT_ACT: act_for_somebody,
}
"""The page of each right, for a visitor whose identity is enough for it."""


def rights_act(act: str, token: str = "") -> ResponseReturnValue:
    """The page of a right (GET), or what its form asks for (POST). Raises InvalidLink."""
    visitor = read_visitor(token)
    if not rights_offered(catalogue_or_empty()):
        return contact_page(visitor)
    if request.form:  # a button
        record_signal(visitor.link)
    if not _may_open(visitor, act):
        return identify(visitor, act)
    return _VIEWS[act](visitor)


def _may_open(visitor: RightsVisitor, act: str) -> bool:
    """Whether their identity is enough for the page; an agent proves an address of their own."""
    if act == AGENT_ACT:
        return visitor.level >= IdentityLevel.CONTROLS_ADDRESS
    kind = RequestKind(act)
    return may_act(visitor.level, kind, Extent.MARKETING if kind is RequestKind.ERASE else None)


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
        for act in _VIEWS
        for path, view in (("/rights", rights_act), ("/rights/open", open_rights_link))
        for route in with_token(f"{path}/{act}", view, FORM, act=act)
    ),
)
