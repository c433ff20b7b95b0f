"""The page of one destination shows its settings, mapping, capabilities, and how far it is.

Staff may do what the commands do, by the same functions. What goes on while a person waits for the
page has a time limit.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.deadlines import WINDOW
from preference_center.core.errors import DestinationError
from preference_center.core.events import SHARING
from preference_center.core.staff import Permission
from preference_center.destinations import plots, set_up
from preference_center.destinations.plots import load_figures
from preference_center.destinations.rules.promise import window_share
from preference_center.destinations.rules.states import (
    Destination,
    DestinationStatus,
    VerificationStats,
)
from preference_center.destinations.set_up import preview_destination, webhook_url
from preference_center.destinations.store import (
    backfills,
    destinations,
    listings,
    samples,
    webhooks,
)
from preference_center.destinations.store.forecasts import find_forecast
from preference_center.destinations.store.listings import ListingKind
from preference_center.destinations.store.samples import DeliveryCount
from preference_center.destinations.validate import check_lease
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import Capabilities, DeliveryError
from preference_center.integrations.registry import DestinationConfigError, get_integration
from preference_center.web.console.frame import current_actor, may, redirect_after_post, render_page
from preference_center.web.languages import page_language

RECENT = timedelta(hours=1)
"""How far back deliveries are counted by the minute, if there are not too many."""


MAX_MINUTES = 15
"""How many of those minutes are shown."""


def destination(name: str) -> ResponseReturnValue:
    """The page of one destination."""
    return destination_page(name)


def destination_page(name: str, status: int = 200, **values: Any) -> ResponseReturnValue:
    """The page, with what an action has found or why it was refused in `values`."""
    now = services().now()
    found = find_destination(name)
    integration = get_integration(found.kind)
    can = integration.load_spec().capabilities_for(found.settings)
    return render_page(
        "destinations/destination",
        status=status,
        live=not values,
        at=now,
        destination=found,
        kind_title=integration.title,
        settings=list(_settings(found)) if may(Permission.MANAGE_DESTINATIONS) else [],
        mapping=list(_mapping(found)),
        can=can,
        capabilities=list(_capabilities(can)),
        webhook=webhook_url(name, found.kind, found.settings),
        **run_in_transaction(lambda c: _load(c, found, now)),
        **values,
    )


def find_destination(name: str) -> Destination:
    """The destination of this name; ends the request with 404 without one."""
    found = run_in_transaction(lambda c: destinations.find_by_name(c, services().keys, name))
    if found is None:
        abort(HTTPStatus.NOT_FOUND)
    return found


def _load(connection: Connection, found: Destination, now: datetime) -> Mapping[str, Any]:
    """What the page shows of the database; each query has a limit."""
    (state,) = samples.list_states(connection, found.name)
    pending = next(
        each for each in samples.list_pending(connection) if each.destination == found.name
    )
    oldest = pending.due_at and pending.due_at - WINDOW
    recent = samples.load_recent_deliveries(connection, now - RECENT)
    own = [each for each in recent.counts if each.destination_id == found.id]
    backfill = backfills.load_backfill(connection, found.id)
    return {
        "state": state,
        "badge": plots.state_badge(state, now),
        "advice": plots.advice(state, now),
        "forecast": plots.forecast_text(
            find_forecast(connection, found.id, pending.due_at, now), now
        ),
        "pending": plots.counted(pending.count, has_more=pending.has_more),
        "age": plots.duration(oldest, now) if oldest else "",
        "share": window_share(oldest, now),
        "minutes": list(_minutes(own)),
        "since": recent.since,
        "figures": load_figures(connection, now, found.id),
        "backfill": None if backfill.finished else backfill,
        "listings": [
            (_listing_titles()[each.kind], each)
            for each in listings.list_progress(connection, found.id)
        ],
        "stats": list(_stats(listings.load_stats(connection, found.id))),
        "unknown_types": webhooks.list_unknown_types(connection, found.id),
    }


def _settings(found: Destination) -> Iterator[tuple[str, str]]:
    """Each setting and its value; of a secret only whether it is set.

    For operators alone: a URL may have a token in it.
    """
    integration = get_integration(found.kind)
    secrets = integration.load_secret_settings()
    for name in (each.removesuffix("?") for each in integration.load_settings()):
        value = found.settings.get(name, "")
        if value:
            yield name, _("set, and not shown") if name in secrets else value


@dataclass(frozen=True, slots=True)
class TopicTarget:
    """A topic that a destination sends, and what stands for it in the tool."""

    key: str
    title: str
    channel: str
    target: str


def _mapping(found: Destination) -> Iterator[TopicTarget]:
    catalogue = current_catalogue_or_empty()
    for key in sorted(found.sends):
        topic = catalogue.topics.get(key)
        yield TopicTarget(
            key,
            catalogue.localize(topic.title, page_language())
            if topic
            else _("sharing for advertising")
            if key == SHARING
            else _("not in the catalogue any more"),
            topic.channel.value if topic else "",
            found.mapping.get(key, ""),
        )


def _capabilities(can: Capabilities) -> Iterator[tuple[bool, str]]:
    """What it can do and what not, in words."""
    if can.webhook_only:
        yield False, _("Nothing is pushed to it: it only reports what people did there.")
        return
    yield (
        (True, _("Turns topics off, and on again when the person wants that."))
        if can.can_lift
        else (
            False,
            _("Can’t turn a topic on again: lifts stay off there, and pauses aren’t pushed."),
        )
    )
    yield (
        (True, _("What was pushed is read back, so that a lost opt-out is found."))
        if can.can_read
        else (False, _("Can’t be read back: a lost opt-out is not noticed."))
    )
    yield (
        (True, _("Its own opt-outs are read and spread to every other tool."))
        if can.can_pull
        else (
            False,
            _("Its own opt-outs can’t be listed: they come by its webhook, if it has one."),
        )
    )
    yield (
        (True, _("Its contacts are scanned, so that new ones are suppressed if they should be."))
        if can.can_scan
        else (False, _("Its contacts can’t be scanned: an import there goes unnoticed."))
    )
    yield (
        (True, _("People are erased there from here."))
        if can.can_erase
        else (False, _("People are erased there by hand."))
    )


def _minutes(counts: Sequence[DeliveryCount]) -> Iterator[tuple[datetime, Counter[str]]]:
    """The newest minutes with deliveries: outcome -> how many."""
    found: dict[datetime, Counter[str]] = {}
    for each in counts:
        found.setdefault(each.minute, Counter())[each.outcome] += each.count
    yield from list(found.items())[:MAX_MINUTES]


def _listing_titles() -> Mapping[ListingKind, str]:
    return {
        ListingKind.PULL: _("its own opt-outs"),
        ListingKind.SCAN: _("its contacts"),
        ListingKind.SWEEP: _("all its contacts again"),
        ListingKind.READ: _("what was pushed"),
    }


def _stats(stats: VerificationStats) -> Iterator[tuple[str, int]]:
    """What came back from it since it was set up."""
    yield _("contacts read"), stats.contacts
    yield _("of them not suppressed, though they should be"), stats.newly_suppressed
    yield _("events reported"), stats.reported
    yield _("of them new, and recorded"), stats.recorded
    yield _("of them about targets that no topic maps to"), stats.unmapped
    yield _("addresses that can’t be parsed"), stats.unreadable
    yield _("addresses read back"), stats.checked
    yield _("opt-outs lost there, and pushed again"), stats.drift
    yield _("permanent links written"), stats.links_written


def stop_after(seconds: float) -> Callable[[], bool]:
    """A function that is true once so many seconds have passed from now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


MAX_COUNTED = 10_000
"""Up to here rows are counted for a person who waits."""


BACKFILL_SECONDS = 2.0
"""How long a back-fill is run while a person waits; workers do the rest."""


PREVIEW_SECONDS = 15.0
"""How long a tool's list is read while a person waits."""


def check_destination(name: str) -> ResponseReturnValue:
    """Ask the tool whether it can be pushed to; changes nothing."""
    find_destination(name)
    return destination_page(name, report=set_up.check_destination(name))


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
        pending=run_in_transaction(lambda c: destinations.count_pending(c, found.id, MAX_COUNTED)),
        max_counted=MAX_COUNTED,
        problem=problem,
    )


_ACTIONS: Mapping[str, Callable[[str], object]] = {
    "pause": lambda name: set_up.pause_destination(name, current_actor()),
    "resume": lambda name: set_up.resume_destination(
        name, current_actor(), stop=stop_after(BACKFILL_SECONDS)
    ),
    "remove": lambda name: set_up.remove_destination(name, current_actor()),
}
