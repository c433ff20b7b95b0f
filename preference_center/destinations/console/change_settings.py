"""Change the settings of a destination, e.g. a revoked key, if the tool accepts them."""

from __future__ import annotations

from http import HTTPStatus

from flask import request, url_for
from flask.typing import ResponseReturnValue

from preference_center.core.errors import DestinationError
from preference_center.destinations import manage
from preference_center.destinations.console.settings_form import (
    missing_settings,
    place_problems,
    read_settings,
    secrets_to_repeat,
    setting_fields,
    split_problems,
)
from preference_center.destinations.console.window_destination import find_destination
from preference_center.web.console.frame import current_actor, redirect_after_post, render_page


def change_destination(name: str) -> ResponseReturnValue:
    """The form, and what the tool says to it."""
    found = find_destination(name)
    settings, problems = dict(found.settings), list[str]()
    missing = dict[str, str]()
    if request.method == "POST":
        settings = read_settings(found.kind, request.form, found.settings)
        missing = missing_settings(found.kind, settings)
        missing |= secrets_to_repeat(found.kind, request.form, settings, found.settings)
        if not missing:
            try:
                manage.change_settings(name, settings, current_actor())
            except DestinationError as error:
                problems = list(split_problems(error))
            else:
                return redirect_after_post(url_for("console.destination", name=name))
    fields, problems = place_problems(
        setting_fields(found.kind, settings),
        [*(f"{setting}: {text}" for setting, text in missing.items()), *problems],
    )
    failed = bool(problems) or any(field.problem for field in fields)
    return render_page(
        "destinations/settings",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if failed else HTTPStatus.OK,
        destination=found,
        fields=fields,
        problems=problems,
        problem=failed,
    )
