"""Choices that are not saved yet, for the preference page in another language.

They are sealed into the URL of that page, as a result is (docs/decisions/0069): so it can be
reloaded and gone back to. Nothing is written (I7).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import redirect, request, url_for
from werkzeug import Response

from preference_center.core.deadlines import UNDO_PERIOD
from preference_center.core.errors import InvalidLink
from preference_center.core.links import FormPurpose
from preference_center.infra.context import services
from preference_center.recipients.pages.results import (
    MAX_LENGTH,
    RESULT_PARAMETER,
)
from preference_center.recipients.pages.sections import PreferenceSection
from preference_center.recipients.rules import SubmittedPreferences
from preference_center.web.pages.rendering import open_for_link, seal_for_link

DRAFT_PARAMETER = "draft"


@dataclass(frozen=True, slots=True)
class Draft:
    """A form that was filled in and not saved; `state` is what it was rendered with."""

    state: str
    submitted: SubmittedPreferences

    def in_section(self, section: PreferenceSection) -> PreferenceSection:
        """The section with these choices.

        It keeps the state that the form was rendered with: what it turns on is as old as before
        (I5). Without a state of ours, nothing says which choices were made: it stays as it is.
        """
        now = services().now()
        try:
            open_for_link(FormPurpose.PREFERENCES, section.token, self.state, None, now)
        except InvalidLink:
            return section
        return replace(section, state=self.state, draft=self.submitted)


def redirect_to_draft(token: str, draft: Draft, language: str) -> Response:
    """303 See Other to the page in this language.

    Choices that are longer than MAX_LENGTH when sealed are lost: a URL can't hold them.
    """
    data = {"state": draft.state, **asdict(draft.submitted)}
    sealed = seal_for_link(FormPurpose.DRAFT, token, data, services().now())
    result = request.form.get(RESULT_PARAMETER) or None
    kept: dict[str, Any] = {RESULT_PARAMETER: result, "lang": language}
    if len(sealed) <= MAX_LENGTH:
        kept[DRAFT_PARAMETER] = sealed
    return redirect(url_for("pages.preferences", token=token, **kept), 303)


def requested_draft(token: str) -> Draft | None:
    """The draft in the query of this request; None for none of this link, or past UNDO_PERIOD."""
    sealed = request.args.get(DRAFT_PARAMETER, "")
    try:
        _, data = open_for_link(FormPurpose.DRAFT, token, sealed, UNDO_PERIOD, services().now())
    except InvalidLink:
        return None
    return Draft(
        data["state"],
        SubmittedPreferences(data["topics"], data["pauses"], data["frequencies"]),
    )
