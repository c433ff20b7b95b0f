"""`/reason/<token>`: the survey after an opt-out. Reasons are counted, nothing else is kept."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.context import services
from preference_center.domain.events import ALL_MARKETING
from preference_center.pages.rendering import (
    link_fingerprint,
    render_link_page,
    use_contact_language,
)
from preference_center.storage import unsubscribe_survey
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.unsubscribe_survey import SurveyReason

SURVEY_RATE = "1 per day"
"""A reason given twice with one link counts once."""


def submit_survey(token: str = "") -> ResponseReturnValue:
    """Count one of the fixed reasons (POST). Raises InvalidLink."""
    context = services()
    link = context.links.read_token(token, context.now())
    use_contact_language(link.address)
    answer = request.form.get("reason", "")
    is_known = answer in set(SurveyReason)
    if is_known and context.limiter.hit(SURVEY_RATE, "reason", link_fingerprint(token)):
        scope = ALL_MARKETING if request.form.get("of") == "all" else link.scope
        run_in_transaction(
            lambda connection: unsubscribe_survey.increment_count(
                connection, scope, SurveyReason(answer), context.now()
            )
        )
    return render_link_page("survey_thanks", token, link, is_known_reason=is_known)
