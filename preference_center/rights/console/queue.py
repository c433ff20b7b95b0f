"""List open and closed requests and reports of minors, and record an agent's list of requests.

/console/requests: the open requests, worst first, and the reports of minors.

/console/requests/closed: the requests that were answered, the newest first.

/console/requests/list: the list of an agent who asks for many people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from io import TextIOWrapper
from itertools import dropwhile, islice
from typing import Any, TypeVar
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue.rules.privacy import Law
from preference_center.contacts.rules.statements import RequestEntry
from preference_center.core.addresses import Address, mask_address
from preference_center.core.deadlines import RequestStage
from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit
from preference_center.rights import words
from preference_center.rights.console import progress
from preference_center.rights.console.acts import options, problem_words
from preference_center.rights.requests import minors, steps, store
from preference_center.rights.requests.agent_lists import (
    COLUMNS,
    AgentRow,
    read_agent_list,
    record_row,
)
from preference_center.rights.requests.queue import (
    MAX_OPEN,
    ClosedKey,
    QueueEntry,
    list_closed,
    load_queue,
    load_requests,
)
from preference_center.rights.rules.decisions import Proposal
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import Agent
from preference_center.rights.rules.requests import RequestKind, RequestState
from preference_center.web.console.frame import current_actor, redirect_after_post, render_page
from preference_center.web.languages import LANGUAGES, format_short_time

PAGE = 50
"""Requests on one page."""


_QUEUE_KINDS = tuple(kind for kind in RequestKind if kind is not RequestKind.MINOR)


E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Row:
    """One request of the list."""

    request: RightsRequest
    stage: RequestStage | None
    clock: str
    subject: str
    """Whom it is about, masked."""
    proposal: Proposal | None


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is limited to. `stage` may also be STOPPED or SECOND_PERSON."""

    kind: RequestKind | None
    law: Law | None
    stage: str
    brand: str

    def match(self, entry: QueueEntry) -> bool:
        """Whether an entry is in the list."""
        asked = entry.request
        return (
            (self.kind is None or asked.kind is self.kind)
            and (self.law is None or asked.law is self.law)
            and self.stage in {"", entry.stage or STOPPED, entry.proposal and SECOND_PERSON}
            and self.brand in {"", asked.brand}
        )

    def as_query(self) -> dict[str, Any]:
        """For links."""
        values = {"kind": self.kind or "", "law": self.law or "", "stage": self.stage}
        values["brand"] = self.brand
        return {name: str(value) for name, value in values.items() if value}


STOPPED = "stopped"
"""The stage of a request whose clock stands still."""


SECOND_PERSON = "second_person"
"""That of one about which somebody proposed a decision; it is on time or late besides."""


def request_queue_page() -> ResponseReturnValue:
    """The open requests; reports of minors have a page of their own."""
    queue = load_queue(_QUEUE_KINDS)
    filters = Filters(
        chosen(RequestKind, "kind"),
        chosen(Law, "law"),
        request.args.get("stage", ""),
        request.args.get("brand", ""),
    )
    matching = [each for each in queue if filters.match(each)]
    shown, following = _page(matching, request.args.get("after", ""))
    return render_page(
        "rights/console/queue",
        rows=_rows(shown),
        older=following
        and url_for("console.request_queue_page", **filters.as_query(), after=following),
        filters=filters,
        counts=_counts(queue),
        matching=len(matching),
        brands=[(brand, brand) for brand in _brands(queue)],
        kinds=options(_QUEUE_KINDS, words.kind_words),
        laws=options(Law),
        stages=_stage_choices(),
        has_more=len(queue) >= MAX_OPEN,
        max_open=MAX_OPEN,
        words=words,
        progress=progress,
    )


def minor_reports() -> ResponseReturnValue:
    """The open reports of minors, to be decided within 72 hours."""
    queue = load_queue([RequestKind.MINOR])
    shown, following = _page(queue, request.args.get("after", ""))
    rows = _rows(shown)
    return render_page(
        "rights/console/minors",
        rows=rows,
        contradicted=minors.list_contradicted([row.request for row in rows]),
        older=following and url_for("console.minor_reports", after=following),
        words=words,
        progress=progress,
    )


def find_request() -> ResponseReturnValue:
    """Go to the request with a reference, open or closed.

    By POST: what people type there may be an address (I12).
    """
    typed = request.form.get("reference", "")
    try:
        found = steps.find_request_by_reference(typed)
    except InvalidInput:
        problem = _("No request has this reference. It has 16 letters and digits.")
        return render_page("rights/console/not_found", status=404, problem=problem, typed=typed)
    return redirect_after_post(url_for("console.show_request", request_id=found.id))


def _brands(queue: Sequence[QueueEntry]) -> list[str]:
    return sorted({each.request.brand for each in queue if each.request.brand})


def _counts(queue: Sequence[QueueEntry]) -> list[tuple[str, str, int]]:
    """For each stage its code, its words and how many requests are in it, the worst first."""
    counted = Counter(str(each.stage or STOPPED) for each in queue)
    counted[SECOND_PERSON] = sum(each.proposal is not None for each in queue)
    return [(code, title, counted[code]) for code, title in _stage_choices()]


def _stage_choices() -> list[tuple[str, str]]:
    stages = [(str(stage), words.in_words(stage)) for stage in reversed(RequestStage)]
    others = [
        (STOPPED, str(_("clock stopped"))),
        (SECOND_PERSON, str(_("waits for a second person"))),
    ]
    return [*stages, *others]


def _page(entries: Sequence[QueueEntry], after: str) -> tuple[list[QueueEntry], str]:
    """The entries after a key of the order, and the key that the next page continues after."""
    rest = dropwhile(lambda each: _key(each) <= after, entries) if after else iter(entries)
    found = list(islice(rest, PAGE + 1))
    return found[:PAGE], _key(found[PAGE - 1]) if len(found) > PAGE else ""


def _key(entry: QueueEntry) -> str:
    """The place of an entry in the order of the queue."""
    asked = entry.request
    stopped = int(asked.stopped_at is not None)
    return f"{stopped}.{asked.deadline.timestamp():017.6f}.{asked.id}"


def _rows(entries: Sequence[QueueEntry]) -> list[Row]:
    ids = [each.request.id for each in entries]
    found = run_autocommit(lambda connection: load_requests(connection, ids))
    by_id = {each.request.id: each for each in entries}
    now = services().now()
    return [
        Row(
            each,
            by_id[each.id].stage,
            progress.clock_words(each, now),
            masked_subject(each),
            by_id[each.id].proposal,
        )
        for each in found
    ]


def masked_subject(request: RightsRequest) -> str:
    """Whom a request is about, masked; what is known of it where it names no address."""
    part = steps.open_sealed(request)
    addresses = [mask_address(each) for each in steps.part_addresses(part)]
    if addresses:
        return ", ".join(addresses)
    return str(_("an id of the company")) if part.external_ids else str(_("nobody any more"))


def chosen(choices: type[E], name: str) -> E | None:
    """The one that a parameter of the URL names; None if it names none that there is."""
    try:
        return choices(request.args.get(name, ""))
    except ValueError:
        return None


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
        states=options(_STATES),
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


MAX_ROWS = 500
"""Rows that one upload records: it is one HTTP request. A longer list is uploaded in parts."""


def agent_list() -> ResponseReturnValue:
    """The form (GET); what a list would record, or has recorded (POST), with lines it can't use."""
    rows: list[AgentRow] | None = None
    problem, applies = "", "apply" in request.form
    if request.method == "POST":
        try:
            rows = _read()
        except InvalidInput as error:
            problem = problem_words(error)
    if rows is not None and applies:
        rows = [record_row(row, current_actor()) for row in rows]
    kinds = Counter(row.request.kind for row in rows or () if row.request)
    return render_page(
        "rights/console/agent_list",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        rows=rows,
        refused=[row for row in rows or () if row.request is None],
        counts=[(words.kind_words(kind), count) for kind, count in kinds.most_common()],
        is_recorded=applies,
        problem=problem,
        entered=request.form,
        languages_of_answers=list(LANGUAGES.items()),
        columns=COLUMNS,
        max_rows=MAX_ROWS,
    )


def _read() -> list[AgentRow]:
    """The rows of the upload. Raises InvalidInput, also for one that is no text."""
    name = request.form.get("agent_name", "").strip()
    agent = Agent(name, request.form.get("agent_address", "").strip())
    agent.check()
    uploaded, language = request.files.get("list"), request.form.get("answers", "")
    if uploaded is None or not uploaded.filename:
        raise InvalidInput(_("Choose a file."))
    if language not in LANGUAGES:
        raise InvalidInput(_("Choose the language of the answers."))
    region = services().settings.phone_region
    rows: list[AgentRow] = []
    try:
        with TextIOWrapper(uploaded.stream, encoding="utf-8-sig", newline="") as lines:
            for row in read_agent_list(lines, agent, language, region):
                if len(rows) == MAX_ROWS:
                    raise InvalidInput(_("The list has more than %(most)s rows.", most=MAX_ROWS))
                rows.append(row)
    except UnicodeDecodeError:
        raise InvalidInput(_("The list is not in UTF-8: save it as CSV in UTF-8.")) from None
    return rows


def request_entries(connection: Connection, address: Address) -> list[RequestEntry]:
    """Every request about exactly this address, in words, in the order of recording (I9)."""
    found = store.list_of_subject(connection, [services().keys.exact_digest(address)])
    return [_entry(each) for each in found]


def _entry(request: RightsRequest) -> RequestEntry:
    return RequestEntry(
        request.received_at,
        _("Data-subject request: %(kind)s", kind=words.kind_words(request.kind)),
        words.state_to_others(request.state),
        [(_("Due"), format_short_time(request.deadline))] if request.closed_at is None else [],
        request.reference,
    )
