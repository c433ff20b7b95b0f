"""Serve the pages that ask for a right: erase, access, restrict, close, object, complain, reopen.

`/rights/erase`: what goes, what stays and why, in two steps, for two extents.

`/rights/access`, `/rights/restrict`, `/rights/unrestrict`, `/rights/close`: one button asks for it.

`/rights/object`, `/rights/dont_sell_or_share` and `/rights/complaint`: anybody says it.

`/rights/reopen`: come back after one's data was deleted, or one's account closed.
"""

from __future__ import annotations

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.catalogue import AccountClosing
from preference_center.contacts.choices import ACTOR
from preference_center.contacts.rules.account import is_restricted
from preference_center.core.addresses import Address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.rights.erasure.come_back import return_after_erasure
from preference_center.rights.pages.visitor import (
    RightsVisitor,
    ask,
    find_form_error,
    is_switch,
    is_too_long,
    list_own_requests,
    proven_address,
    read_text,
    redirect_to_status,
    render_form,
)
from preference_center.rights.person_words import in_words
from preference_center.rights.requests.handle import PAGE_SOURCE
from preference_center.rights.requests.store import KnownSubject, find_subject
from preference_center.rights.rules.identity import is_role_mailbox
from preference_center.rights.rules.requests import Extent, RequestKind
from preference_center.web.languages import page_language
from preference_center.web.pages.mailed_links import GivenAddress, read_typed_address
from preference_center.web.pages.rendering import catalogue_or_empty


def erase(visitor: RightsVisitor) -> ResponseReturnValue:
    """Choose the extent, then confirm it. `account` needs more proof than a visit: it is asked for.

    Nothing is remembered between the two steps: the second form has the extent.
    """
    if request.method != "POST":
        return _erase_page("erase", visitor)
    try:
        extent = Extent(request.form.get("extent", ""))
    except ValueError:
        return _erase_page("erase", visitor, error="nothing_chosen")
    if "confirm" not in request.form:
        return _erase_page("erase_confirm", visitor, extent=extent)
    if error := find_form_error(visitor):
        return _erase_page("erase_confirm", visitor, extent=extent, error=error)
    asked = ask(visitor, RequestKind.ERASE, proven_address(visitor), extent=extent)
    return redirect_to_status(visitor, asked)


def _erase_page(template: str, visitor: RightsVisitor, **values: Any) -> ResponseReturnValue:
    own = list_own_requests(visitor)
    return render_form(
        template,
        visitor,
        RequestKind.ERASE,
        restricted=_is_restricted(visitor),
        # After the deletion there would be none.
        copy_pending=any(
            each.asked.kind is RequestKind.ACCESS and not each.asked.state.closed for each in own
        ),
        retention=catalogue_or_empty().retention,
        **_of_account(visitor),
        **values,
    )


def _of_account(visitor: RightsVisitor) -> dict[str, Any]:
    """How many addresses the account has, and whether it takes more than control of this one."""
    address = proven_address(visitor)
    known = _known(address)
    more = is_role_mailbox(address) or known.has_other_addresses
    return {"contact_addresses": known.contact_addresses, "needs_more_proof": more}


def access(visitor: RightsVisitor) -> ResponseReturnValue:
    """Ask for the file of all that is held; the status page has it when it is ready."""
    own = [each for each in list_own_requests(visitor) if each.asked.kind is RequestKind.ACCESS]
    return _handle_button(visitor, RequestKind.ACCESS, own_requests=own)


def limit(visitor: RightsVisitor, kind: RequestKind) -> ResponseReturnValue:
    """Limit the use of one's data, or end that; the page offers what is possible now."""
    restricted = _is_restricted(visitor)
    offered = RequestKind.UNRESTRICT if restricted else RequestKind.RESTRICT
    return _handle_button(visitor, kind, offered=offered)


def close(visitor: RightsVisitor) -> ResponseReturnValue:
    """Close the account: at once, or once the company agrees, as the catalogue says."""
    closes_here = catalogue_or_empty().rights.closing is AccountClosing.HERE
    return _handle_button(
        visitor, RequestKind.CLOSE, closes_here=closes_here, **_of_account(visitor)
    )


def _handle_button(
    visitor: RightsVisitor, kind: RequestKind, *, offered: RequestKind | None = None, **values: Any
) -> ResponseReturnValue:
    """The page (GET), or the request that its button makes. `offered` is what it asks for."""
    error = ""
    if "confirm" in request.form:
        error = find_form_error(visitor)
        if not error:
            return redirect_to_status(visitor, ask(visitor, kind, proven_address(visitor)))
    shown, retention = offered or kind, catalogue_or_empty().retention
    return render_form(shown.value, visitor, shown, error=error, retention=retention, **values)


def _is_restricted(visitor: RightsVisitor) -> bool:
    return is_restricted(load_exact_facts([proven_address(visitor)])[0])


def say(visitor: RightsVisitor, kind: RequestKind) -> ResponseReturnValue:
    """What anybody says, in any words: it takes no proof of who says it.

    An objection needs no words, and neither does "do not sell or share" (11 CCR 7026): both
    count at once. A complaint does, and its page says who else can be complained to (GDPR art. 77).
    """
    controller = catalogue_or_empty().controller
    values: dict[str, Any] = {
        "typed": "",
        "typed_text": "",
        "authorities": [*controller.authorities.values()] if controller else [],
    }
    if request.method == "POST":
        given = GivenAddress("", visitor.address) if visitor.address else read_typed_address()
        text = read_text()
        error = "" if is_switch() else _find_error(visitor, kind, given, text)
        if given.address and not error and not is_switch():
            return redirect_to_status(visitor, ask(visitor, kind, given.address, text=text))
        values |= {"typed": given.display_address, "typed_text": text, "error": error}
    return render_form(kind.value, visitor, kind, **values)


def _find_error(visitor: RightsVisitor, kind: RequestKind, given: GivenAddress, text: str) -> str:
    return given.error or _find_text_error(kind, text) or find_form_error(visitor)


def _find_text_error(kind: RequestKind, text: str) -> str:
    if is_too_long(text):
        return "too_long"
    return "empty" if kind is RequestKind.COMPLAINT and not text else ""


def reopen(visitor: RightsVisitor) -> ResponseReturnValue:
    """Begin again at once after an erasure; else ask staff to open the account again.

    Marketing stays off in any case (I6). To be the contact of before takes more proof: anyone who
    begins again gets nothing of what was deleted.
    """
    address, error = proven_address(visitor), ""
    if "confirm" in request.form:
        error = find_form_error(visitor)
        if not error and _known(address).is_erased:
            _return_now(address)
            return render_form("returned", visitor, RequestKind.REOPEN)
        if not error:
            return redirect_to_status(visitor, ask(visitor, RequestKind.REOPEN, address))
    return render_form("reopen", visitor, RequestKind.REOPEN, error=error)


def _known(address: Address) -> KnownSubject:
    digest = services().keys.exact_digest(address)
    return run_in_transaction(
        lambda connection: find_subject(connection, [digest], [address.channel])
    )


def _return_now(address: Address) -> None:
    now = services().now()
    proof = ConsentEvidence(PAGE_SOURCE, in_words(RequestKind.REOPEN), page_language(), now)
    return_after_erasure(address, proof, origin=RequestOrigin(PAGE_SOURCE, ACTOR, now))
