"""`/rights/erase`: what goes, what stays and why, in two steps, for two extents."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.contacts.rules.account import is_restricted
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.rights.pages.forms import ask, find_form_error, form_of, redirect_to_status
from preference_center.rights.pages.list import list_own_requests
from preference_center.rights.pages.visitor import RightsVisitor, proven_address, render_rights_page
from preference_center.rights.rules.model import Extent, RequestKind
from preference_center.rights.titles import right_title
from preference_center.web.pages.rendering import catalogue_or_empty


def erase(visitor: RightsVisitor) -> ResponseReturnValue:
    """Choose the extent, then confirm it. `account` needs more proof than a visit: it is asked for.

    Nothing is remembered between the two steps: the second form has the extent.
    """
    extent = _chosen_extent()
    if request.method != "POST":
        return _erase_page("rights/pages/erase", visitor)
    if extent is None:
        return _erase_page("rights/pages/erase", visitor, error="nothing_chosen", status=422)
    if "confirm" not in request.form:
        return _erase_page("rights/pages/erase_confirm", visitor, extent)
    if error := find_form_error(visitor):
        return _erase_page("rights/pages/erase_confirm", visitor, extent, error=error, status=400)
    asked = ask(visitor, RequestKind.ERASE, proven_address(visitor), extent=extent)
    return redirect_to_status(visitor, asked)


def _chosen_extent() -> Extent | None:
    try:
        return Extent(request.form.get("extent", ""))
    except ValueError:
        return None


def _erase_page(
    template: str,
    visitor: RightsVisitor,
    extent: Extent | None = None,
    *,
    error: str = "",
    status: int = 200,
) -> ResponseReturnValue:
    return render_rights_page(
        template,
        visitor,
        status=status,
        kind=RequestKind.ERASE,
        title=right_title(RequestKind.ERASE),
        form=form_of(visitor),
        extent=extent,
        error=error,
        restricted=is_restricted(load_exact_facts([proven_address(visitor)])[0]),
        copy_pending=_is_copy_pending(visitor),
        retention=catalogue_or_empty().retention,
    )


def _is_copy_pending(visitor: RightsVisitor) -> bool:
    """Whether a copy was asked for and is not ready: after the deletion there would be none."""
    return any(
        own.asked.kind is RequestKind.ACCESS and not own.asked.state.closed
        for own in list_own_requests(visitor)
    )
