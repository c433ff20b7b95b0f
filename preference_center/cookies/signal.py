"""Read and record the signal of Global Privacy Control, `Sec-GPC: 1` (docs/decisions/0015)."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from flask import abort, request
from flask.typing import ResponseReturnValue

from preference_center.catalogue.store import load_last_applied_at
from preference_center.contacts.choices import opt_out
from preference_center.cookies.rules import SOURCE, GpcStatus, find_first_signal, gpc_status
from preference_center.core.errors import Unavailable
from preference_center.core.events import SHARING, Change
from preference_center.core.links.tokens import Link
from preference_center.decisions.rules import newest_opt_in
from preference_center.destinations.store.deliveries import find_address_id
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.spool import attempt_to_record
from preference_center.ledger.store.events import list_events_of
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.web.pages.rendering import allow_own_script, render_link_page


def render_gpc_page(template: str, token: str, link: Link, **values: Any) -> ResponseReturnValue:
    """`render_link_page` with the status of the browser's signal, if it sends one.

    A revoked link reveals no earlier choice of its address.
    """
    return render_link_page(template, token, link, gpc=signal_status(link), **values)


def signal_status(link: Link | None) -> GpcStatus | None:
    """What a page of this link shows of the browser's signal; None without signal or link."""
    if link is not None and has_signal() and not link.revoked:
        with suppress(Unavailable):  # the page must work without the database
            status = _gpc_status(link)
            if status is GpcStatus.PENDING:
                allow_own_script()
            return status
    return None


def has_signal() -> bool:
    """Whether the browser sends it.

    1 is the only value with a meaning; absence has none (W3C GPC, 2025-04-02).
    """
    return request.headers.get("Sec-GPC") == "1"


def gpc_opt_out(link: Link, now: datetime) -> list[Change]:
    """The opt-out of sale and sharing that the signal adds to this POST, if any.

    Without the database it is added in any case: an opt-out must not be lost (I1).
    """
    if not has_signal():
        return []
    status = GpcStatus.PENDING
    with suppress(Unavailable):
        status = _gpc_status(link)
    return [opt_out(link, SHARING, SOURCE, now)] if status is GpcStatus.PENDING else []


def record_signal(link: Link | None) -> None:
    """Record what the signal adds to this POST, for a page that records it with nothing else.

    Raises Unavailable.
    """
    if link is not None and (changes := gpc_opt_out(link, services().now())):
        with attempt_to_record():
            record(changes)


def record_gpc(token: str = "") -> ResponseReturnValue:
    """Record the signal for the address of a link: the page's own script posts here.

    To send the signal is the person's act, to open a page is none: so a GET records nothing (I7).
    400 without the signal. Raises InvalidLink and Unavailable.
    """
    link = services().links.read_any_token(token)
    if not has_signal():
        abort(400)
    record_signal(link)
    return "", 204


def gpc_support_document() -> ResponseReturnValue:
    """`/.well-known/gpc.json`: that we abide by the signal, and since when.

    The date is when the catalogue was last applied.
    """
    applied_at = run_in_transaction(load_last_applied_at)
    if applied_at is None:
        abort(404)
    return {"gpc": True, "lastUpdate": applied_at.date().isoformat()}


def _gpc_status(link: Link) -> GpcStatus:
    facts = load_exact_facts([link.address])[0]
    status = gpc_status(facts, None)
    if status is not GpcStatus.PENDING or newest_opt_in(SHARING, facts) is None:
        return status  # without a consent to compare it with, when it was recorded says nothing
    return gpc_status(facts, run_in_transaction(lambda c: _find_first_signal(c, link)))


def _find_first_signal(connection: Connection, link: Link) -> datetime | None:
    digest = services().keys.exact_digest(link.address)
    address_id = find_address_id(connection, digest, link.address.channel)
    events, retracted = list_events_of(connection, [] if address_id is None else [address_id])
    return find_first_signal(events, retracted)
