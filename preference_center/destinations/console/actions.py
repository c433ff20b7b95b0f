"""What staff may do with a destination: what the commands do, by the same functions."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.errors import DestinationError
from preference_center.destinations import manage
from preference_center.destinations.console.deadline import stop_after
from preference_center.destinations.console.window_destination import (
    destination_page,
    find_destination,
)
from preference_center.destinations.preview import preview_destination
from preference_center.destinations.rules.destination import DestinationStatus
from preference_center.destinations.store import backlog
from preference_center.destinations.validation import check_lease
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.registry import DestinationConfigError
from preference_center.web.console.frame import current_actor, redirect_after_post, render_page

MAX_COUNTED = 10_000
"""Up to here rows are counted for a person who waits."""
BACKFILL_SECONDS = 2.0
"""How long a back-fill is run while a person waits; workers do the rest."""
PREVIEW_SECONDS = 15.0
"""How long a tool's list is read while a person waits."""


def check_destination(name: str) -> ResponseReturnValue:
    """Ask the tool whether it can be pushed to; changes nothing."""
    find_destination(name)
    return destination_page(name, report=manage.check_destination(name))


def preview(name: str) -> ResponseReturnValue:
    """What would be pushed and recorded, without doing it."""
    find_destination(name)
    try:
        found = preview_destination(
            name, stop=stop_after(PREVIEW_SECONDS), max_pushes=MAX_COUNTED, lease=check_lease()
        )
    except (DeliveryError, DestinationConfigError, DestinationError) as error:
        return destination_page(name, problem=_("It can’t be read: %(error)s", error=str(error)))
    return destination_page(name, preview=found, max_counted=MAX_COUNTED)


def confirm_action(name: str, action: str) -> ResponseReturnValue:
    """Say what resuming, pausing or removing will do, and do it when that is confirmed."""
    perform = _ACTIONS.get(action)
    if perform is None:
        abort(HTTPStatus.NOT_FOUND)
    found = find_destination(name)
    problem = ""
    if request.method == "POST":
        try:
            perform(name)
        except DestinationError as error:
            problem = str(error)
        else:
            if action == "remove":
                return redirect_after_post(url_for("console.window"))
            return redirect_after_post(url_for("console.destination", name=name))
    return render_page(
        "destinations/confirm",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        destination=found,
        action=action,
        is_observed=found.status is DestinationStatus.OBSERVE,
        pending=run_in_transaction(lambda c: backlog.count_pending(c, found.id, MAX_COUNTED)),
        max_counted=MAX_COUNTED,
        problem=problem,
    )


def _pause(name: str) -> None:
    manage.pause_destination(name, current_actor())


def _resume(name: str) -> None:
    manage.resume_destination(name, current_actor(), stop=stop_after(BACKFILL_SECONDS))


def _remove(name: str) -> None:
    manage.remove_destination(name, current_actor())


_ACTIONS: dict[str, Callable[[str], None]] = {
    "pause": _pause,
    "resume": _resume,
    "remove": _remove,
}
