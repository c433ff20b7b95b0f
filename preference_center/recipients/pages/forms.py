"""The form of the preference page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from flask_wtf import FlaskForm
from wtforms import HiddenField, SelectMultipleField

PAUSE_FIELD_PREFIX = "pause:"
"""Prefix of a pause field's name; a scope follows."""
FREQUENCY_FIELD_PREFIX = "frequency:"
"""The same of how often; a topic follows."""


class PreferenceForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """The submitted form. `state` is what was rendered, sealed by us."""

    class Meta:
        """A page may stay open for days: `state` contains the relevant time."""

        csrf_time_limit = int(timedelta(days=60).total_seconds())

    state = HiddenField()
    topics = SelectMultipleField(validate_choice=False)
    """Keys of the ticked topics; only those that `state` lists are used."""


def parse_choices(form: Mapping[str, str], prefix: str) -> dict[str, str]:
    """The choice of each field with this prefix, by scope; the caller uses only scopes of `state`.

    A part of multipart/form-data may have no name.
    """
    return {
        name.removeprefix(prefix): choice
        for name, choice in form.items()
        if name and name.startswith(prefix)
    }
