"""/console/requests/closed: the requests that were answered, the newest first."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from preference_center.console.rendering import render_page
from preference_center.console.requests import words
from preference_center.console.requests.act_pages import options
from preference_center.console.requests.queue import PAGE, masked_subject
from preference_center.domain.rights.model import RequestKind, RequestState
from preference_center.domain.rights.request import RightsRequest
from preference_center.storage.db.database import run_autocommit
from preference_center.storage.rights.request_queue import ClosedKey, list_closed

_STATES = tuple(state for state in RequestState if state.closed)

E = TypeVar("E", bound=StrEnum)


def closed_requests() -> ResponseReturnValue:
    """A page of them; what was asked about them and by whom is forgotten after some time."""
    kinds = _chosen(RequestKind, "kind") or tuple(RequestKind)
    states = _chosen(RequestState, "state") or _STATES
    before = _parse_key(request.args.get("before", ""))
    found = run_autocommit(lambda c: list_closed(c, kinds, states, before, PAGE + 1))
    chosen = {name: request.args.get(name, "") for name in ("kind", "state")}
    last = _format_key(found[PAGE - 1]) if len(found) > PAGE else ""
    return render_page(
        "requests/closed",
        rows=[(each, masked_subject(each)) for each in found[:PAGE]],
        older=last and url_for("console.closed_requests", before=last, **dict[str, Any](chosen)),
        chosen=chosen,
        kinds=options(tuple(RequestKind), words.kind_words),
        states=options(_STATES, words.state_words),
        words=words,
    )


def _chosen(choices: type[E], name: str) -> tuple[E, ...]:
    """The one that the URL names; none if it names none that there is."""
    text = request.args.get(name, "")
    return tuple(each for each in choices if each == text)


def _format_key(last: RightsRequest) -> str:
    return f"{last.closed_at:%Y%m%dT%H%M%S.%f%z}_{last.id}"


def _parse_key(text: str) -> ClosedKey | None:
    at, _line, number = text.partition("_")
    try:
        return ClosedKey(datetime.strptime(at, "%Y%m%dT%H%M%S.%f%z"), UUID(number))
    except ValueError:
        return None
