"""Choices that are not saved yet, of every section of the preference page.

They are kept where the page is shown in another language, and where another section is saved or
stopped.
They are sealed into the URL of the page that follows, as a result is (docs/decisions/0069): so it
can be reloaded and gone back to. Nothing is written (I7).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import request, url_for

from preference_center.core.deadlines import UNDO_PERIOD
from preference_center.core.errors import InvalidLink
from preference_center.core.links import FURTHER_ADDRESS_PARAMETER, FormPurpose
from preference_center.infra.context import services
from preference_center.recipients.pages.results import RESULT_PARAMETER, save_result_url
from preference_center.recipients.pages.sections import (
    PreferenceSection,
    additional_tokens,
    submitted_form,
)
from preference_center.recipients.rules import SaveResult, SubmittedPreferences
from preference_center.web.languages import LANGUAGE_PARAMETER
from preference_center.web.pages.rendering import open_for_link, seal_for_link

DRAFT_PARAMETER = "draft"
"""Query parameter; one for each section with choices that are not saved."""


_MAX_LENGTH = 4000
"""Characters of all drafts of a page; with its tokens and a result, a URL stays below 8,000."""


def draft_url(token: str) -> str:
    """The URL of the page in the language whose button is pressed, with all that it shows now."""
    others = additional_tokens()
    query: dict[str, Any] = {
        RESULT_PARAMETER: request.form.get(RESULT_PARAMETER) or None,
        LANGUAGE_PARAMETER: request.form["show"],
        FURTHER_ADDRESS_PARAMETER: others,
        DRAFT_PARAMETER: submitted_drafts([token, *others]),
    }
    return url_for("pages.preferences", token=token, **query)


def result_url(token: str, result: SaveResult, events: Sequence[UUID], now: datetime) -> str:
    """The page that says what came of a press in the section of `token`.

    What is chosen in the other sections stays there. `events` are those of `save_result_url`.
    """
    others = additional_tokens()
    query = {FURTHER_ADDRESS_PARAMETER: others, DRAFT_PARAMETER: submitted_drafts(others)}
    return save_result_url("pages.preferences", token, result, events, now, query)


def submitted_drafts(tokens: Iterable[str]) -> list[str]:
    """What the submitted form changes in the sections of these tokens, sealed for each.

    Choices that are longer than _MAX_LENGTH when sealed are lost: a URL can't hold them.
    Without a state of ours, nothing says which choices were made: the section has no draft.
    """
    found: list[str] = []
    for token in tokens:
        sealed = _seal_submitted(token)
        if sealed and len("".join([*found, sealed])) <= _MAX_LENGTH:
            found.append(sealed)
    return found


def _seal_submitted(token: str) -> str:
    """Empty where nothing differs from what was rendered."""
    now, form = services().now(), submitted_form(token)
    state, choices = form.state.data or "", form.choices
    try:
        _, rendered = open_for_link(FormPurpose.PREFERENCES, token, state, None, now)
    except InvalidLink:
        return ""
    if not _differs(rendered, choices):
        return ""
    data = {
        "state": state,
        "topics": [*choices.topics],
        "pauses": {scope: choice for scope, choice in choices.pauses.items() if choice},
        "frequencies": dict(choices.frequencies),
    }
    return seal_for_link(FormPurpose.DRAFT, token, data, now)


def _differs(rendered: Mapping[str, Any], choices: SubmittedPreferences) -> bool:
    was_on = {topic for topic, is_on in rendered["topics"].items() if is_on}
    often = rendered.get("often", {})
    return (
        was_on != set(choices.topics)
        or any(choices.pauses.values())
        or any(choices.frequencies.get(topic, key) != key for topic, key in often.items())
    )


def with_draft(section: PreferenceSection) -> PreferenceSection:
    """The section with its draft in the query of this request, if any of UNDO_PERIOD.

    It keeps the state that the form was rendered with: what it turns on is as old as before (I5).
    """
    now = services().now()
    for sealed in request.args.getlist(DRAFT_PARAMETER):
        try:
            _, data = open_for_link(FormPurpose.DRAFT, section.token, sealed, UNDO_PERIOD, now)
        except InvalidLink:  # altered, old, or of another section
            continue
        choices = SubmittedPreferences(data["topics"], data["pauses"], data["frequencies"])
        return replace(section, state=data["state"], draft=choices)
    return section
