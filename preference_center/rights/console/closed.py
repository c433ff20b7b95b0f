"""/console/requests/closed: the requests that were answered, the newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from preference_center.infra.db.transactions import run_autocommit
from preference_center.rights import words
from preference_center.rights.console.act_pages import options
from preference_center.rights.console.queue import PAGE, chosen, masked_subject
from preference_center.rights.requests.store.request_queue import ClosedKey, list_closed
from preference_center.rights.rules.model import RequestKind, RequestState
from preference_center.rights.rules.request import RightsRequest
from preference_center.web.console.frame import render_page

_CLOSED_KINDS = tuple(RequestKind)
_STATES = tuple(state for state in RequestState if state.closed)


def closed_requests() -> ResponseReturnValue:
    """A page of them; what was asked about them and by whom is forgotten after some time."""
    kind, state = chosen(RequestKind, "kind"), chosen(RequestState, "state")
    kinds, states = [kind] if kind else _CLOSED_KINDS, [state] if state else _STATES
    before = _parse_key(request.args.get("before", ""))
    found = run_autocommit(lambda c: list_closed(c, kinds, states, before, PAGE + 1))
    filters: dict[str, Any] = {"kind": kind or "", "state": state or ""}
    last = _format_key(found[PAGE - 1]) if len(found) > PAGE else ""
    return render_page(
        "rights/console/closed",
        rows=[(each, masked_subject(each)) for each in found[:PAGE]],
        older=last and url_for("console.closed_requests", before=last, **filters),
        filters=filters,
        kinds=options(_CLOSED_KINDS, words.kind_words),
        states=options(_STATES, words.state_words),
        words=words,
    )


def _format_key(last: RightsRequest) -> str:
    return f"{last.closed_at:%Y%m%dT%H%M%S.%f%z}_{last.id}"


def _parse_key(text: str) -> ClosedKey | None:
    at, _line, number = text.partition("_")
    try:
        return ClosedKey(datetime.strptime(at, "%Y%m%dT%H%M%S.%f%z"), UUID(number))
    except ValueError:
        return None
