"""`/rights`: the list of rights, for everybody. Reading it takes no link."""

from __future__ import annotations

from dataclasses import dataclass

from flask.typing import ResponseReturnValue

from preference_center.catalogue.rules.model import rights_offered
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.pages.visitor import RightsVisitor, read_visitor, render_rights_page
from preference_center.rights.requests.store import requests
from preference_center.rights.rules.model import RequestKind
from preference_center.rights.rules.request import RightsRequest
from preference_center.rights.rules.rights_status import create_rights_status_token
from preference_center.rights.titles import right_title
from preference_center.web.pages.rendering import catalogue_or_empty

LISTED_RIGHTS = (
    RequestKind.ACCESS,
    RequestKind.CORRECT,
    RequestKind.ERASE,
    RequestKind.RESTRICT,
    RequestKind.OBJECT,
    RequestKind.DONT_SELL_OR_SHARE,
    RequestKind.CLOSE,
    RequestKind.REOPEN,
    RequestKind.COMPLAINT,
)
"""In the order of the page. Ending a limit is offered where it is set."""

MAX_OWN_REQUESTS = 20
"""The newest that are listed."""


@dataclass(frozen=True, slots=True)
class OwnRequest:
    """A request of the visitor, and the token of its status page, which continues the visit."""

    asked: RightsRequest
    title: str
    status_token: str


def list_rights(token: str = "") -> ResponseReturnValue:
    """The list (GET). Raises InvalidLink."""
    visitor = read_visitor(token)
    if not rights_offered(catalogue_or_empty()):
        return contact_page(visitor)
    return render_rights_page(
        "rights/pages/list",
        visitor,
        listed=[(kind, right_title(kind)) for kind in LISTED_RIGHTS],
        own_requests=list_own_requests(visitor),
    )


def list_own_requests(visitor: RightsVisitor) -> list[OwnRequest]:
    """The requests of anyone who controls exactly this address (I9); else none.

    Of several addresses that is the first, to which their answers are mailed. What somebody else
    reports about a person is not their request.
    """
    if visitor.link is None or not visitor.link.proves_control:
        return []
    context, began_at = services(), visitor.link.issued_at
    digest = context.keys.exact_digest(visitor.link.address)
    found = run_in_transaction(lambda c: requests.list_of_subject(c, [digest]))
    asked = [
        each
        for each in reversed(found)
        if each.subject_digests[0] == digest and each.kind is not RequestKind.MINOR
    ]
    return [
        OwnRequest(
            each,
            right_title(each.kind),
            create_rights_status_token(context.links, each.id, context.now(), began_at),
        )
        for each in asked[:MAX_OWN_REQUESTS]
    ]


def contact_page(visitor: RightsVisitor, status: int = 200) -> ResponseReturnValue:
    """Whom to write to: all that is shown until the catalogue says who answers."""
    return render_rights_page("rights/pages/contact", visitor, status=status)
