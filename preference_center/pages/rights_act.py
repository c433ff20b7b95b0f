"""`/rights/<act>`: the page of one right. Which identity it needs is `domain.rights`' to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.domain.rights.identity import may_act
from preference_center.domain.rights.model import Extent, RequestKind
from preference_center.domain.rights.offered import rights_offered
from preference_center.pages.rendering import catalogue_or_empty
from preference_center.pages.rights_correct import correct
from preference_center.pages.rights_erase import erase
from preference_center.pages.rights_identity import identify
from preference_center.pages.rights_list import contact_page
from preference_center.pages.rights_one_button import (
    access,
    close,
    restrict,
    unrestrict,
)
from preference_center.pages.rights_own_words import complain, object_to_marketing
from preference_center.pages.rights_return import reopen
from preference_center.pages.rights_visitor import RightsVisitor, read_visitor

_VIEWS: Mapping[RequestKind, Callable[[RightsVisitor], ResponseReturnValue]] = {
    RequestKind.ACCESS: access,
    RequestKind.CORRECT: correct,
    RequestKind.ERASE: erase,
    RequestKind.RESTRICT: restrict,
    RequestKind.UNRESTRICT: unrestrict,
    RequestKind.CLOSE: close,
    RequestKind.REOPEN: reopen,
    RequestKind.OBJECT: object_to_marketing,
    RequestKind.COMPLAINT: complain,
}
"""The page of each right, for a visitor whose identity is enough for it."""

RIGHTS_WITH_PAGES = tuple(kind.value for kind in _VIEWS)
"""What `/rights/<act>` can be."""


def rights_act(act: str, token: str = "") -> ResponseReturnValue:
    """The page of a right (GET), or what its form asks for (POST). Raises InvalidLink."""
    kind, visitor = RequestKind(act), read_visitor(token)
    if not rights_offered(catalogue_or_empty()):
        return contact_page(visitor, status=503 if request.method == "POST" else 200)
    if not may_act(visitor.level, kind, Extent.MARKETING if kind is RequestKind.ERASE else None):
        return identify(visitor, kind)
    return _VIEWS[kind](visitor)
