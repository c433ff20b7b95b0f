"""Serve the pages on which people answer mails about what somebody else asked or said.

`/rights/authority`: whether an agent acts for the person. `/rights/reported`: that a report of a
minor is wrong. `/rights/closed`: a notice to another address of a closed account undoes that. What
an answer brings about is for `rights.requests` to say.
"""

from __future__ import annotations

from typing import Literal, assert_never

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.addresses import mask_address
from preference_center.core.errors import ExpiredLink
from preference_center.core.links import FormPurpose
from preference_center.infra.context import services
from preference_center.rights.pages.visitor import open_answer, render_rights_page
from preference_center.rights.person_words import in_words
from preference_center.rights.requests.agents import confirm_by_principal, refuse_by_principal
from preference_center.rights.requests.handle import undo_closing
from preference_center.rights.requests.minors import contradict
from preference_center.rights.requests.steps import open_sealed, part_addresses
from preference_center.rights.rules.identity import ANSWER_TIMES
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import RequestKind, RequestState
from preference_center.web.languages import page_language


def authority(token: str = "") -> ResponseReturnValue:
    """Ask the person whether an agent acts for them; a button confirms or refuses it.

    Raises InvalidLink.
    """
    asked, late = open_answer(FormPurpose.RIGHTS_AUTHORITY, token), False
    try:
        if "confirm" in request.form:
            asked = confirm_by_principal(asked.id)
        elif "refuse" in request.form:
            asked = refuse_by_principal(asked.id)
    except ExpiredLink:
        late = True
    part = open_sealed(asked)
    return render_rights_page(
        "authority",
        asked=asked,
        title=in_words(asked.kind),
        agent=part.agent.get("name", ""),
        addresses=[mask_address(each) for each in part_addresses(part)],
        waits=asked.waits_for_principal and asked.level < asked.required_level,
        answered=_answered(asked),
        late=late,
        answer_token=token,
        self_path=url_for("pages.authority", token=token, lang=None),
    )


def _answered(asked: RightsRequest) -> Literal["confirmed", "refused", "closed"] | None:
    """What the page says of a request by an agent that waits for no answer; None if it does."""
    match asked.state:
        case RequestState.WITHDRAWN:
            return "refused"
        case RequestState.OPEN | RequestState.DONE:
            return "confirmed"
        case RequestState.RECEIVED | RequestState.IDENTIFYING:
            return "confirmed" if asked.level else None
        case RequestState.REFUSED | RequestState.LAPSED:
            return "confirmed" if asked.level else "closed"
        case _:
            assert_never(asked.state)


def reported(token: str = "") -> ResponseReturnValue:
    """What the mail about a report leads to: the button says that it is wrong.

    Raises InvalidLink.
    """
    report = open_answer(FormPurpose.RIGHTS_REPORTED, token)
    answered_by = report.recorded_at + ANSWER_TIMES[FormPurpose.RIGHTS_REPORTED]
    late = services().now() > answered_by
    said = "wrong" in request.form and not late
    if said:
        report = contradict(report.id)
    addresses = part_addresses(open_sealed(report))
    return render_rights_page(
        "reported",
        report=report,
        addresses=[mask_address(each) for each in addresses],
        said=said and not report.state.closed,
        late=late,
        token_of_report=token,
        self_path=url_for("pages.reported", token=token, lang=None),
    )


def undo_account_closing(token: str = "") -> ResponseReturnValue:
    """The page of the notice: its button opens the account again. Raises InvalidLink."""
    context = services()
    context.links.open_form(FormPurpose.CLOSED_ACCOUNT, token, None, context.now())
    undone = too_late = False
    if "undo" in request.form:
        try:
            undo_closing(token, _("This wasn’t me"), page_language())
            undone = True
        except ExpiredLink:
            too_late = True
    return render_rights_page(
        "close_undo",
        status=410 if too_late else 200,
        title=in_words(RequestKind.CLOSE),
        mailed_token=token,
        undone=undone,
        too_late=too_late,
    )
