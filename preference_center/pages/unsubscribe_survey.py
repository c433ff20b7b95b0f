"""`/reason/<token>`: why somebody left, asked only afterwards and only counted."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.domain.events import ALL_MARKETING
from preference_center.extensions import services
from preference_center.pages.rendering import link_mark, link_page, speak_to
from preference_center.storage import unsubscribe_survey
from preference_center.storage.db.database import run
from preference_center.storage.unsubscribe_survey import Reason

PER_LINK = "1 per day"
"""A reason given twice by one link counts once."""


def give_reason(token: str = "") -> ResponseReturnValue:
    """Count one of the fixed reasons (POST). Raises InvalidLink."""
    context = services()
    link = context.links.read(token, context.now())
    speak_to(link.address)
    given = request.form.get("reason", "")
    known = given in set(Reason)
    if known and context.limiter.allows(PER_LINK, "reason", link_mark(token)):
        scope = ALL_MARKETING if request.form.get("of") == "all" else link.scope
        run(
            lambda connection: unsubscribe_survey.count(
                connection, scope, Reason(given), context.now()
            )
        )
    return link_page("survey_thanks", token, link, known=known)
