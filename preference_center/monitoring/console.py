"""The board: every destination in one table, worst first, and whether the promise is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.deadlines import WINDOW, RequestStage
from preference_center.core.staff import Permission
from preference_center.destinations import plots
from preference_center.destinations.plots import load_figures
from preference_center.destinations.rules.promise import (
    BacklogKind,
    CountedTo,
    DestinationMeasurement,
    Measurements,
    evaluate_promise,
    sort_worst_first,
    window_share,
)
from preference_center.destinations.rules.states import Condition
from preference_center.destinations.store import samples
from preference_center.destinations.store.forecasts import SEEN, Forecast, load_forecast
from preference_center.destinations.store.samples import DestinationState, RecentDeliveries
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import spool
from preference_center.monitoring.measure import measure_database
from preference_center.web.console.frame import Route, may, render_page

RECENT = timedelta(minutes=10)
"""What counts as just pushed."""


def window() -> ResponseReturnValue:
    """The board; its script asks for it again to show what has changed."""
    now = services().now()
    measured = measure_database(now)
    states, recent, forecasts = run_in_transaction(lambda c: _load(c, measured))
    spooled = _spool_status()
    rows = list(_rows(measured, states, recent, forecasts))
    broken = [row.state.name for row in rows if row.badge[1] == "bad"]
    promise = evaluate_promise(measured, spooled.oldest_received_at if spooled else None)
    return render_page(
        "monitoring/board",
        live=True,
        at=now,
        promise=plots.promise_text(promise, now, broken),
        promise_kind="bad" if broken else plots.stage_badge(promise.stage)[1],
        rows=rows,
        counts=list(_counts(measured, spooled)),
        figures=run_in_transaction(lambda c: load_figures(c, now)),
    )


def _load(
    connection: Connection, measured: Measurements
) -> tuple[list[DestinationState], RecentDeliveries, dict[str, Forecast | None]]:
    recent = samples.load_recent_deliveries(connection, measured.at - RECENT)
    states = samples.list_states(connection)
    seen = samples.load_recent_deliveries(connection, measured.at - SEEN)
    ids = {state.name: state.id for state in states}
    forecasts = {
        each.name: load_forecast(
            connection, ids[each.name], each.oldest_received_at + WINDOW, seen, measured.at
        )
        for each in measured.destinations
        if each.name in ids and each.oldest_received_at
    }
    return states, recent, forecasts


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One destination on the board."""

    measurement: DestinationMeasurement
    state: DestinationState
    pending: str
    badge: tuple[str, str]
    advice: str
    age: str
    """How long its oldest pending opt-out has waited; empty if none waits."""
    share: float
    """How much of the window that is, from 0 to 1."""
    pushed: str
    failed: str
    """How many addresses; of a broken tool mostly none, since what fails there is whole batches."""
    forecast: str
    """Of a slow tool: when it is through, and for how many that is too late."""


def _rows(
    measured: Measurements,
    states: Sequence[DestinationState],
    recent: RecentDeliveries,
    forecasts: Mapping[str, Forecast | None],
) -> Iterator[BoardRow]:
    by_name = {state.name: state for state in states}
    has_more = recent.since > measured.at - RECENT
    for each in sort_worst_first(measured.destinations):
        state = by_name.get(each.name)
        if state is None:  # removed in between
            continue
        own = [count for count in recent.counts if count.destination_id == state.id]
        failed = sum(count.count for count in own if not count.is_pushed)
        oldest = each.oldest_received_at
        yield BoardRow(
            each,
            state,
            plots.counted(each.pending, has_more=(CountedTo.PENDING, each.name) in measured.capped),
            plots.state_badge(state, measured.at),
            plots.advice(state, measured.at),
            plots.duration(oldest, measured.at) if oldest else "",
            window_share(oldest, measured.at),
            plots.counted(sum(count.count for count in own if count.is_pushed), has_more=has_more),
            _failed_text(failed, state, measured, has_more=has_more),
            plots.forecast_text(forecasts.get(each.name), measured.at),
        )


def _failed_text(
    failed: int, state: DestinationState, measured: Measurements, *, has_more: bool
) -> str:
    is_broken = state.condition(measured.at) in {Condition.FAILED, Condition.TRIED_AGAIN}
    if is_broken and not failed:
        return str(_("whole batches"))
    return plots.counted(failed, has_more=has_more)


@dataclass(frozen=True, slots=True)
class WaitingCount:
    """What waits besides destinations: a count, and the page where it is worked on."""

    label: str
    count: int
    url: str
    is_late: bool = False
    has_more: bool = False

    @property
    def text(self) -> str:
        """The count as the person reads it."""
        return plots.counted(self.count, has_more=self.has_more)


def _counts(measured: Measurements, spooled: spool.SpoolStatus | None) -> Iterator[WaitingCount]:
    waiting, rights = measured.waiting, measured.rights
    late = {kind for kind, stage in measured.backlog}
    if spooled is not None:
        yield WaitingCount(_("on this host’s disk"), spooled.pending, "")
    review = _url("review_lists", Permission.REVIEW)
    for kind, label, url in (
        (BacklogKind.VENDOR_EVENT, _("vendor events to decide"), review),
        (BacklogKind.WEBHOOK, _("webhooks to process"), ""),
        (BacklogKind.MAIL_OPT_OUT, _("opt-outs by mail without an address"), review),
        (BacklogKind.REVIEW_ITEM, _("mails to review"), review),
        (BacklogKind.DEFERRED_FORMS, _("forms of addresses to update"), ""),
    ):
        has_more = (CountedTo.BACKLOG, kind) in measured.capped
        yield WaitingCount(label, waiting.get(kind.value, 0), url, kind.value in late, has_more)
    requests = _url("request_queue_page", Permission.VIEW_REQUESTS)
    due_soon, overdue = rights.get(RequestStage.DUE_SOON, 0), rights.get(RequestStage.OVERDUE, 0)
    has_more = (CountedTo.RIGHTS, "") in measured.capped
    yield WaitingCount(_("requests due soon"), due_soon, requests, has_more=has_more)
    yield WaitingCount(_("requests overdue"), overdue, requests, overdue > 0, has_more)
    has_more = (CountedTo.BY_HAND, "") in measured.capped
    yield WaitingCount(_("erasures by hand"), measured.erasures_by_hand, requests, False, has_more)


def _url(endpoint: str, permission: Permission) -> str:
    """The page of this name, if the person may open it."""
    return url_for(f"console.{endpoint}") if may(permission) else ""


def _spool_status() -> spool.SpoolStatus | None:
    running = spool.current_spool()
    return None if running is None else running.folder.status()


ROUTES = (Route("/window", window, Permission.VIEW_WINDOW),)
