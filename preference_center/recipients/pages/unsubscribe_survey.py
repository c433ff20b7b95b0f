"""`/reason/<token>`: the survey after an opt-out. Reasons are counted, nothing else is kept."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.core.events import ALL_MARKETING
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.recipients import store as unsubscribe_survey
from preference_center.recipients.pages.press_result import (
    PressKind,
    PressResult,
    redirect_to_result,
)
from preference_center.recipients.store import SurveyReason
from preference_center.web.pages.rendering import link_fingerprint

SURVEY_RATE = "1 per day"
"""A reason given twice with one link counts once."""


def submit_survey(token: str = "") -> ResponseReturnValue:
    """Count one of the fixed reasons (POST), and redirect to the thanks. Raises InvalidLink."""
    context = services()
    link = context.links.read_token(token, context.now())
    answer = request.form.get("reason", "")
    is_known = answer in set(SurveyReason)
    scope = ALL_MARKETING if request.form.get("of") == "all" else link.scope
    if is_known and context.limiter.hit(SURVEY_RATE, "reason", link_fingerprint(token)):
        run_in_transaction(
            lambda connection: unsubscribe_survey.increment_count(
                connection, scope, SurveyReason(answer), context.now()
            )
        )
    kind = PressKind.ANSWERED if is_known else PressKind.NOT_ANSWERED
    return redirect_to_result(token, PressResult(kind, scope), "pages.unsubscribe")
