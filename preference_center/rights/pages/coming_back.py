"""`/rights/reopen`: come back after one's data was deleted, or one's account closed."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.contacts.choices import ACTOR
from preference_center.core.addresses import Address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.rules import ConsentEvidence, RequestOrigin
from preference_center.rights.erasure.come_back import return_after_erasure
from preference_center.rights.pages.address import SOURCE
from preference_center.rights.pages.forms import ask, find_form_error, form_of, redirect_to_status
from preference_center.rights.pages.visitor import RightsVisitor, proven_address, render_rights_page
from preference_center.rights.requests.store.requests import find_subject
from preference_center.rights.rules.model import RequestKind
from preference_center.rights.titles import right_title
from preference_center.web.languages import page_language


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
    digest = services().keys.exact_digest(address)
    return run_in_transaction(
        lambda connection: find_subject(connection, [digest], [address.channel]).is_erased
    )


def _return_now(address: Address) -> None:
    now = services().now()
    proof = ConsentEvidence(SOURCE, right_title(RequestKind.REOPEN), page_language(), now)
    return_after_erasure(address, proof, origin=RequestOrigin(SOURCE, ACTOR, now))


def _return_page(template: str, visitor: RightsVisitor, error: str = "") -> ResponseReturnValue:
    return render_rights_page(
        template,
        visitor,
        status=400 if error else 200,
        kind=RequestKind.REOPEN,
        title=right_title(RequestKind.REOPEN),
        form=form_of(visitor),
        error=error,
    )
