"""Serve `/rights/<act>`, the page of one right.

Which identity an act needs is for `rights.rules.identity` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.catalogue.rules.model import rights_offered
from preference_center.cookies.signal import record_signal
from preference_center.rights.pages.agent import act_for_somebody
from preference_center.rights.pages.ask import (
    access,
    close,
    complain,
    dont_sell_or_share,
    erase,
    object_to_marketing,
    reopen,
    restrict,
    unrestrict,
)
from preference_center.rights.pages.correct import correct
from preference_center.rights.pages.identity import identify
from preference_center.rights.pages.visitor import RightsVisitor, contact_page, read_visitor
from preference_center.rights.person_words import AGENT_ACT
from preference_center.rights.rules.identity import may_act
from preference_center.rights.rules.requests import Extent, IdentityLevel, RequestKind
from preference_center.web.pages.rendering import catalogue_or_empty

_VIEWS: Mapping[str, Callable[[RightsVisitor], ResponseReturnValue]] = {
    RequestKind.ACCESS.value: access,
    RequestKind.CORRECT.value: correct,
    RequestKind.ERASE.value: erase,
    RequestKind.RESTRICT.value: restrict,
    RequestKind.UNRESTRICT.value: unrestrict,
    RequestKind.CLOSE.value: close,
    RequestKind.REOPEN.value: reopen,
    RequestKind.OBJECT.value: object_to_marketing,
    RequestKind.DONT_SELL_OR_SHARE.value: dont_sell_or_share,
    RequestKind.COMPLAINT.value: complain,
    AGENT_ACT: act_for_somebody,
}
"""The page of each right, for a visitor whose identity is enough for it."""

RIGHTS_WITH_PAGES = tuple(_VIEWS)
"""What `/rights/<act>` can be."""


def rights_act(act: str, token: str = "") -> ResponseReturnValue:
    """The page of a right (GET), or what its form asks for (POST). Raises InvalidLink."""
    visitor = read_visitor(token)
    if not rights_offered(catalogue_or_empty()):
        return contact_page(visitor, status=503 if request.method == "POST" else 200)
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
