"""What the page after a press says: a sealed value in its URL, so that the page can be reloaded.

It ties the kind and the scope to the link and holds nothing else (I12). What the page shows is
what the ledger says: the value only tells what was pressed last (docs/decisions/0069).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from flask import redirect, request, url_for
from werkzeug import Response

from preference_center.core.deadlines import UNDO_PERIOD
from preference_center.core.errors import InvalidLink
from preference_center.core.links import FormPurpose
from preference_center.infra.context import services
from preference_center.web.pages.rendering import open_for_link, seal_for_link

RESULT_PARAMETER = "result"
_ANCHOR = "result"  # the id of the element that takes the focus


class PressKind(StrEnum):
    """What came of a press."""

    UNSUBSCRIBED = "unsubscribed"
    RECEIVED = "received"
    """Spooled: it is recorded once the database is back."""
    UNDONE = "undone"
    TOO_LATE = "too_late"
    """An undo after its time."""
    ANSWERED = "answered"
    """The survey, with a reason."""
    NOT_ANSWERED = "not_answered"


@dataclass(frozen=True, slots=True)
class PressResult:
    """What came of a press, and the scope that it was about."""

    kind: PressKind
    scope: str


def read_press_result(token: str) -> PressResult | None:
    """The result in the URL of this request; None without one of this link, or of UNDO_PERIOD."""
    sealed = request.args.get(RESULT_PARAMETER, "")
    try:
        _, data = open_for_link(FormPurpose.RESULT, token, sealed, UNDO_PERIOD, services().now())
    except InvalidLink:
        return None
    return PressResult(PressKind(data["kind"]), data["scope"])


def press_result_url(token: str, result: PressResult, endpoint: str, **values: Any) -> str:
    """The URL of the page that says so. `values` are those of `url_for`."""
    data = {"kind": result.kind, "scope": result.scope}
    sealed = seal_for_link(FormPurpose.RESULT, token, data, services().now())
    values[RESULT_PARAMETER] = sealed
    return url_for(endpoint, token=token, **values)


def redirect_to_result(token: str, result: PressResult, endpoint: str) -> Response:
    """303 See Other (RFC 9110 15.4.4): reloading the page that follows posts nothing again."""
    return redirect(press_result_url(token, result, endpoint, _anchor=_ANCHOR), 303)
