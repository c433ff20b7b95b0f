"""`/rights`: the list of rights, for everybody. Reading it takes no link."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from preference_center.domain.rights.model import RequestKind
from preference_center.domain.rights.offered import rights_offered
from preference_center.mailer.right_titles import right_title
from preference_center.pages.rendering import catalogue_or_empty
from preference_center.pages.rights_visitor import RightsVisitor, read_visitor, render_rights_page

LISTED_RIGHTS = (
    RequestKind.ACCESS,
    RequestKind.CORRECT,
    RequestKind.ERASE,
    RequestKind.RESTRICT,
    RequestKind.OBJECT,
    RequestKind.CLOSE,
    RequestKind.REOPEN,
    RequestKind.COMPLAINT,
)
"""In the order of the page. Ending a limit is offered where it is set."""


def rights(token: str = "") -> ResponseReturnValue:
    """The list (GET). Raises InvalidLink."""
    visitor = read_visitor(token)
    if not rights_offered(catalogue_or_empty()):
        return contact_page(visitor)
    return render_rights_page(
        "rights", visitor, listed=[(kind, right_title(kind)) for kind in LISTED_RIGHTS]
    )


def contact_page(visitor: RightsVisitor, status: int = 200) -> ResponseReturnValue:
    """Whom to write to: all that is shown until the catalogue says who answers."""
    return render_rights_page("rights_contact", visitor, status=status)
