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
from preference_center.rights.pages.correct import SOURCE
from preference_center.rights.pages.visitor import (
    RightsVisitor,
    ask,
    find_form_error,
    form_of,
    is_too_long,
    list_own_requests,
    proven_address,
    read_text,
    redirect_to_status,
    render_rights_page,
)
from preference_center.rights.person_words import in_words
from preference_center.rights.requests.store import KnownSubject, find_subject
from preference_center.rights.rules.identity import is_role_mailbox
from preference_center.rights.rules.new_request import MAX_TEXT
from preference_center.rights.rules.requests import Extent, RequestKind
from preference_center.web.languages import page_language
from preference_center.web.pages.mailed_links import GivenAddress, read_typed_address
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
        title=in_words(RequestKind.ERASE),
        form=form_of(visitor),
        extent=extent,
        error=error,
        restricted=is_restricted(load_exact_facts([proven_address(visitor)])[0]),
        copy_pending=_is_copy_pending(visitor),
        needs_more_proof=_needs_more_proof(proven_address(visitor)),
        contact_addresses=_known(proven_address(visitor)).contact_addresses,
        retention=catalogue_or_empty().retention,
    )


def _needs_more_proof(address: Address) -> bool:
    """Whether what concerns the whole account takes more than control of this address."""
    return is_role_mailbox(address) or _known(address).has_other_addresses


def _is_copy_pending(visitor: RightsVisitor) -> bool:
    """Whether a copy was asked for and is not ready: after the deletion there would be none."""
    return any(
        own.asked.kind is RequestKind.ACCESS and not own.asked.state.closed
        for own in list_own_requests(visitor)
    )


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
    closing, address = catalogue_or_empty().rights.closing, proven_address(visitor)
    return _handle_button(
        visitor,
        RequestKind.CLOSE,
        closes_here=closing is AccountClosing.HERE,
        contact_addresses=_known(address).contact_addresses,
        needs_more_proof=_needs_more_proof(address),
    )


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
        title=in_words(shown),
        form=form_of(visitor),
        error=error,
        retention=catalogue_or_empty().retention,
        **values,
    )


def _is_restricted(address: Address) -> bool:
    return is_restricted(load_exact_facts([address])[0])


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
        title=in_words(kind),
        form=form_of(visitor),
        typed=typed,
        typed_text=text,
        max_text=MAX_TEXT,
        error=error,
        authorities=[*controller.authorities.values()] if controller else [],
    )


def reopen(visitor: RightsVisitor) -> ResponseReturnValue:
    """Begin again at once after an erasure; else ask staff to open the account again.

    Marketing stays off in any case (I6). To be the contact of before takes more proof: anyone who
    begins again gets nothing of what was deleted.
    """
    address, error = proven_address(visitor), ""
    if "confirm" in request.form:
        error = find_form_error(visitor)
        if not error and _is_erased(address):
            _return_now(address)
            return _return_page("rights/pages/returned", visitor)
        if not error:
            return redirect_to_status(visitor, ask(visitor, RequestKind.REOPEN, address))
    return _return_page("rights/pages/reopen", visitor, error)


def _is_erased(address: Address) -> bool:
    return _known(address).is_erased


def _known(address: Address) -> KnownSubject:
    digest = services().keys.exact_digest(address)
    return run_in_transaction(
        lambda connection: find_subject(connection, [digest], [address.channel])
    )


def _return_now(address: Address) -> None:
    now = services().now()
    proof = ConsentEvidence(SOURCE, in_words(RequestKind.REOPEN), page_language(), now)
    return_after_erasure(address, proof, origin=RequestOrigin(SOURCE, ACTOR, now))


def _return_page(template: str, visitor: RightsVisitor, error: str = "") -> ResponseReturnValue:
    return render_rights_page(
        template,
        visitor,
        status=400 if error else 200,
        kind=RequestKind.REOPEN,
        title=in_words(RequestKind.REOPEN),
        form=form_of(visitor),
        error=error,
    )
