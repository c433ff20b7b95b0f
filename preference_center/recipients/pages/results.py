"""The page after a press or a Save reads its result from a sealed value in its URL.

So the page can be reloaded, gone back to and read in another language. The value is encrypted,
signed and tied to the link: it holds the kind and the scope of a press, or what a Save did, and
nothing else (I12). What the page shows is what the ledger says, read when the page is shown: the
value only tells what was pressed last (docs/decisions/0069).

`load_opt_out` loads what the holder of an unsubscribe link has already turned off.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import redirect, request, url_for
from werkzeug import Response

from preference_center.contacts.choices import PREFERENCE_PAGE, UNSUBSCRIBE_PAGE, click_evidence
from preference_center.core.deadlines import UNDO_PERIOD
from preference_center.core.errors import InvalidLink, Unavailable
from preference_center.core.events import LINK_EVIDENCE, Event, EventKind
from preference_center.core.links import FURTHER_ADDRESS_PARAMETER, FormPurpose
from preference_center.core.links.tokens import Link
from preference_center.destinations.store.deliveries import find_address_id
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.store.events import list_events_of
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.recipients.rules import LinkOptOut, SaveProblem, SaveResult, find_opt_out
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


MAX_LENGTH = 2000
"""Characters of a sealed result; a URL should stay below 8,000 (RFC 9110 4.1)."""


@dataclass(frozen=True, slots=True)
class SealedResult:
    """A result that was read back, with the retraction that takes back what it turned off."""

    result: SaveResult
    undo_id: UUID | None = None
    """Id of the retraction: made with the result, so that pressing twice makes one."""
    undoable: tuple[UUID, ...] = ()
    """The events that it retracts."""


def save_result_url(
    endpoint: str,
    token: str,
    result: SaveResult,
    events: Sequence[UUID],
    now: datetime,
    query: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> str:
    """The page of `token` with this result. `events` turned something off and can be undone.

    `query` is what else the page needs: further addresses, and drafts.

    Of a result that is too long for a URL, only the outcome is kept.
    """
    data = _to_json(result)
    undo = {"id": services().new_id().hex, "events": [event.hex for event in events]}
    sealed = ""
    for each in (data | {"undo": undo if events else None}, data, _shortened(data)):
        sealed = seal_for_link(FormPurpose.SAVED, token, each, now)
        if len(sealed) <= MAX_LENGTH:
            break
    values: dict[str, Any] = {RESULT_PARAMETER: sealed, **query}
    return url_for(
        endpoint, token=token, **values, _anchor="problem" if result.problem else "result"
    )


def read_save_result(token: str, sealed: str, now: datetime) -> SealedResult | None:
    """The sealed result; None for one that is altered, of another link, or past UNDO_PERIOD."""
    try:
        _, data = open_for_link(FormPurpose.SAVED, token, sealed, UNDO_PERIOD, now)
    except InvalidLink:
        return None
    undo = data.get("undo")
    if not undo:
        return SealedResult(_from_json(data))
    return SealedResult(_from_json(data), UUID(undo["id"]), tuple(map(UUID, undo["events"])))


def requested_result() -> str:
    """The sealed result in the query of this request, or an empty text."""
    return request.args.get(RESULT_PARAMETER, "")


def result_query() -> str:
    """The query that shows this page again, with its result, for the switch of languages."""
    kept = {RESULT_PARAMETER, FURTHER_ADDRESS_PARAMETER}
    query = urlencode([(k, v) for k, v in request.args.items(multi=True) if k in kept and v])
    return f"?{query}" if query else ""


def _to_json(result: SaveResult) -> dict[str, Any]:
    return {
        "at": result.rendered_at.isoformat(),
        "off": [*result.turned_off],
        "paused": {scope: end.isoformat() for scope, end in result.paused.items()},
        "on": [*result.turned_on],
        "kept": [*result.kept],
        "resumed": [*result.resumed],
        "often": dict(result.frequencies),
        "less": [*result.lowered],
        "confirm": [*result.to_confirm],
        "confirm_often": dict(result.frequencies_to_confirm),
        "unsaved": [*result.unsaved],
        "undone": [*result.undone],
        "problem": result.problem,
    }


def _shortened(data: dict[str, Any]) -> dict[str, Any]:
    return {key: data[key] for key in ("at", "problem")} | {"long": True}


def _from_json(data: dict[str, Any]) -> SaveResult:
    return SaveResult(
        rendered_at=datetime.fromisoformat(data["at"]),
        turned_off=data.get("off", ()),
        paused={s: datetime.fromisoformat(end) for s, end in data.get("paused", {}).items()},
        turned_on=data.get("on", ()),
        kept=data.get("kept", ()),
        resumed=data.get("resumed", ()),
        frequencies=data.get("often", {}),
        lowered=data.get("less", ()),
        to_confirm=data.get("confirm", ()),
        frequencies_to_confirm=data.get("confirm_often", {}),
        unsaved=data.get("unsaved", ()),
        undone=data.get("undone", ()),
        problem=SaveProblem(data["problem"]) if data["problem"] else None,
        names_left_out=data.get("long", False),
    )


_REPEATABLE = frozenset({EventKind.PAUSED, EventKind.FREQUENCY_CHOSEN})


def load_presses(link: Link, scopes: Collection[str], since: datetime) -> list[UUID]:
    """The pauses and frequencies of these scopes saved with this link since the form was shown.

    An undo takes them back after the form was sent twice, as after the first time. None from more
    more than UNDO_PERIOD ago, and none without the database: what is saved is saved.
    """
    events: list[Event] = []
    retracted: frozenset[UUID] = frozenset()
    if scopes:
        with suppress(Unavailable):
            events, retracted = run_in_transaction(lambda c: _load_events(c, link))
    if not events:
        return []
    since = max(since, services().now() - UNDO_PERIOD)
    is_press = _press_of(link, PREFERENCE_PAGE)
    return [
        event.id
        for event in events
        if event.kind in _REPEATABLE and event.scope in scopes and event.received_at >= since
        if event.id not in retracted and is_press(event)
    ]


def _press_of(link: Link, source: str) -> Callable[[Event], bool]:
    """Whether an event was made with this link on the page `source`."""
    ours = click_evidence(link, source)
    return lambda event: (
        event.source == source
        and all(event.evidence.get(name) == ours.get(name) for name in LINK_EVIDENCE)
    )


def _load_events(connection: Connection, link: Link) -> tuple[list[Event], frozenset[UUID]]:
    digest = services().keys.exact_digest(link.address)
    address_id = find_address_id(connection, digest, link.address.channel)
    return list_events_of(connection, [] if address_id is None else [address_id])


def load_opt_out(link: Link) -> LinkOptOut | None:
    """The active opt-out that covers the link's scope. Raises Unavailable."""
    now = services().now()
    (facts,) = load_exact_facts([link.address])
    if not any(fact.state.is_suppressed for fact in facts):
        return None
    events, retracted = run_in_transaction(lambda connection: _load_events(connection, link))
    is_press = _press_of(link, UNSUBSCRIBE_PAGE)
    return find_opt_out(link.scope, facts, events, retracted, is_press, now)
