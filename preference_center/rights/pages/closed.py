"""Serve `/rights/closed/<token>`: a notice to another address of a closed account undoes that."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.errors import ExpiredLink
from preference_center.core.links import FormPurpose
from preference_center.infra.context import services
from preference_center.rights.pages.visitor import RightsVisitor, render_rights_page
from preference_center.rights.person_words import in_words
from preference_center.rights.requests.closings import undo_closing
from preference_center.rights.rules.requests import RequestKind
from preference_center.web.languages import page_language


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
        "rights/pages/close_undo",
        RightsVisitor(),
        status=410 if too_late else 200,
        title=in_words(RequestKind.CLOSE),
        mailed_token=token,
        undone=undone,
        too_late=too_late,
    )
