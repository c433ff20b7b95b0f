"""Rights that one button asks for: access, limiting the use, closing the account."""

from __future__ import annotations

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.catalogue import AccountClosing
from preference_center.contacts.rules.account import is_restricted
from preference_center.core.addresses import Address
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.rights.pages.forms import ask, find_form_error, form_of, redirect_to_status
from preference_center.rights.pages.list import list_own_requests
from preference_center.rights.pages.visitor import RightsVisitor, proven_address, render_rights_page
from preference_center.rights.rules.model import RequestKind
from preference_center.rights.titles import right_title
from preference_center.web.pages.rendering import catalogue_or_empty


def access(visitor: RightsVisitor) -> ResponseReturnValue:
    """Ask for the file of all that is held; the status page has it when it is ready."""
    own = [each for each in list_own_requests(visitor) if each.asked.kind is RequestKind.ACCESS]
    return _handle_button(visitor, RequestKind.ACCESS, own_requests=own)


def restrict(visitor: RightsVisitor) -> ResponseReturnValue:
    """Limit the use of one's data; where it is limited, end that. It may also be asked again."""
    restricted = _is_restricted(proven_address(visitor))
    offered = RequestKind.UNRESTRICT if restricted else RequestKind.RESTRICT
    return _handle_button(visitor, RequestKind.RESTRICT, offered=offered)


def unrestrict(visitor: RightsVisitor) -> ResponseReturnValue:
    """End the limit; where there is none, the page offers one."""
    restricted = _is_restricted(proven_address(visitor))
    offered = RequestKind.UNRESTRICT if restricted else RequestKind.RESTRICT
    return _handle_button(visitor, RequestKind.UNRESTRICT, offered=offered)


def close(visitor: RightsVisitor) -> ResponseReturnValue:
    """Close the account: at once, or once the company agrees, as the catalogue says."""
    closing = catalogue_or_empty().rights.closing
    return _handle_button(visitor, RequestKind.CLOSE, closes_here=closing is AccountClosing.HERE)


def _handle_button(
    visitor: RightsVisitor,
    kind: RequestKind,
    *,
    offered: RequestKind | None = None,
    **values: Any,
) -> ResponseReturnValue:
    """The page (GET), or the request that its button makes. `offered` is what it asks for."""
    error = ""
    if "confirm" in request.form:
        error = find_form_error(visitor)
        if not error:
            return redirect_to_status(visitor, ask(visitor, kind, proven_address(visitor)))
    shown = offered or kind
    return render_rights_page(
        f"rights/pages/{shown.value}",
        visitor,
        status=400 if error else 200,
        kind=shown,
        title=right_title(shown),
        form=form_of(visitor),
        error=error,
        retention=catalogue_or_empty().retention,
        **values,
    )


def _is_restricted(address: Address) -> bool:
    return is_restricted(load_exact_facts([address])[0])
