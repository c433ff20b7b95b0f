"""The form of the preference page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, SelectMultipleField

PAUSE_FIELD_PREFIX = "pause:"
"""Begins the name of a pause's field; a scope follows."""


class PreferenceForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """What the browser sends back. `state` is what was rendered, sealed by us."""

    class Meta:
        """A page may stay open for days: `state` carries the time that matters."""

        csrf_time_limit = int(timedelta(days=60).total_seconds())

    state = HiddenField()
    all_marketing = BooleanField()
    topics = SelectMultipleField(validate_choice=False)
    """Keys of the ticked topics; only those that `state` lists are looked at."""


def parse_pauses(form: Mapping[str, str]) -> dict[str, str]:
    """What was chosen of each pause, by scope; only scopes that `state` lists are looked at.

    A part of multipart/form-data may have no name at all.
    """
    return {
        name.removeprefix(PAUSE_FIELD_PREFIX): choice
        for name, choice in form.items()
        if name and name.startswith(PAUSE_FIELD_PREFIX)
    }
