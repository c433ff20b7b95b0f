"""`/rights/object`, `/rights/dont_sell_or_share` and `/rights/complaint`: anybody says it."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.rights.pages.forms import (
    ask,
    find_form_error,
    form_of,
    is_too_long,
    read_text,
    redirect_to_status,
)
from preference_center.rights.pages.visitor import RightsVisitor, render_rights_page
from preference_center.rights.rules.model import RequestKind
from preference_center.rights.rules.new_request import MAX_TEXT
from preference_center.rights.titles import right_title
from preference_center.web.pages.mailed_links import GivenAddress, read_typed_address
from preference_center.web.pages.rendering import catalogue_or_empty


def object_to_marketing(visitor: RightsVisitor) -> ResponseReturnValue:
    """Any words, or none: it counts at once as an opt-out of all marketing, and is read after."""
    return _handle_words(visitor, RequestKind.OBJECT)


def dont_sell_or_share(visitor: RightsVisitor) -> ResponseReturnValue:
    """One button, and no proof of who presses it (11 CCR 7026): an opt-out of sale and sharing."""
    return _handle_words(visitor, RequestKind.DONT_SELL_OR_SHARE)


def complain(visitor: RightsVisitor) -> ResponseReturnValue:
    """A complaint, and who else can be complained to (GDPR art. 77)."""
    return _handle_words(visitor, RequestKind.COMPLAINT)


def _handle_words(visitor: RightsVisitor, kind: RequestKind) -> ResponseReturnValue:
    if request.method != "POST":
        return _words_page(visitor, kind)
    given = GivenAddress("", visitor.address) if visitor.address else read_typed_address()
    text = read_text()
    if given.address is None:
        return _words_page(visitor, kind, given.display_address, text, given.error, 422)
    if error := _find_text_error(kind, text):
        return _words_page(visitor, kind, given.display_address, text, error, 422)
    if error := find_form_error(visitor):
        status = 403 if error == "cross_site" else 400
        return _words_page(visitor, kind, given.display_address, text, error, status)
    return redirect_to_status(visitor, ask(visitor, kind, given.address, text=text))


def _find_text_error(kind: RequestKind, text: str) -> str:
    if is_too_long(text):
        return "too_long"
    return "empty" if kind is RequestKind.COMPLAINT and not text else ""


def _words_page(
    visitor: RightsVisitor,
    kind: RequestKind,
    typed: str = "",
    text: str = "",
    error: str = "",
    status: int = 200,
) -> ResponseReturnValue:
    controller = catalogue_or_empty().controller
    return render_rights_page(
        f"rights/pages/{kind.value}",
        visitor,
        status=status,
        kind=kind,
        title=right_title(kind),
        form=form_of(visitor),
        typed=typed,
        typed_text=text,
        max_text=MAX_TEXT,
        error=error,
        authorities=[*controller.authorities.values()] if controller else [],
    )
