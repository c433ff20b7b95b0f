"""`/u/<token>`: the page with one button, and undo (RULES A3-A9)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from preference_center.context import services
from preference_center.database_timeouts import LINK_CLICK_TIMEOUTS
from preference_center.domain.events import ALL_MARKETING, Retraction
from preference_center.errors import InvalidLink, ProbeLink, Unavailable
from preference_center.ledger import record
from preference_center.links import FormPurpose, Link, probe_link
from preference_center.pages.gpc import gpc_opt_out, render_gpc_page
from preference_center.pages.ledger_changes import ACTOR, UNSUBSCRIBE_PAGE, click_evidence, opt_out
from preference_center.pages.rendering import (
    link_fingerprint,
    render_link_page,
    use_contact_language,
)
from preference_center.spool import record_or_spool
from preference_center.storage.db.database import override_limits
from preference_center.storage.ledger.suppression_lookup import load_exact_facts

UNDO_PERIOD = timedelta(minutes=30)

_ACCEPTED = 202  # RFC 9110 15.3.3: accepted, and not yet processed


def unsubscribe(token: str = "") -> ResponseReturnValue:
    """Show the page (GET, HEAD) or handle its buttons (POST); for one click see `one_click`.

    Only the page's own field opts out; for any other body the page is shown (RULES A9). The
    response to a valid link is always 2xx, however often and however old (I7).
    """
    with override_limits(LINK_CLICK_TIMEOUTS):
        return _handle(token)


def _handle(token: str) -> ResponseReturnValue:
    try:
        link = services().links.read_token(token, services().now())
    except ProbeLink:  # `flask check-domain`: the usual page, for nobody's address
        return render_link_page("unsubscribe", token, probe_link(services().now()))
    use_contact_language(link.address)
    if request.method != "POST":
        return render_gpc_page("unsubscribe", token, link)
    if "undo" in request.form:
        return _undo(token, link, request.form["undo"])
    scopes = {"this": link.scope, "all": ALL_MARKETING}
    scope = scopes.get(request.form.get("confirm", ""))
    if scope is None:
        return render_gpc_page("unsubscribe", token, link)
    return _record_opt_out(token, link, scope)


def _record_opt_out(token: str, link: Link, scope: str) -> ResponseReturnValue:
    now = services().now()
    honoured = gpc_opt_out(link, UNSUBSCRIBE_PAGE, now) if scope != ALL_MARKETING else []
    was_off = _is_off(link, ALL_MARKETING if honoured else scope)
    changes = [opt_out(link, scope, UNSUBSCRIBE_PAGE, now), *honoured]
    events = record_or_spool(changes)
    if events is None:
        return render_link_page(
            "opt_out_accepted",
            token,
            link,
            status=_ACCEPTED,
            stopped_scope=scope,
            self_path=url_for("pages.unsubscribe", token=token, lang=None),
        )
    # Undoing what changed nothing would leave them unsubscribed.
    unchanged = {change.id for change in changes} if was_off else set()
    return render_gpc_page(
        "unsubscribed",
        token,
        link,
        stopped_scope=ALL_MARKETING if honoured else scope,
        signed_undo=_sign_undo(token, tuple(event for event in events if event not in unchanged)),
    )


def _is_off(link: Link, scope: str) -> bool:
    """Whether an opt-out of this scope by exactly this address is active; False if unknown."""
    try:
        (facts,) = load_exact_facts([link.address])
    except Unavailable:
        return False
    return any(fact.scope == scope and fact.state.is_suppressed for fact in facts)


def _sign_undo(token: str, events: tuple[UUID, ...]) -> str | None:
    """The sealed value of the undo button: exactly these events, for this link.

    Events that a double click repeats are included. The retraction's id is made now, so
    that pressing twice makes one retraction.
    """
    if not events:
        return None
    data = {
        "link": link_fingerprint(token),
        "id": str(services().new_id()),
        "events": [*map(str, events)],
    }
    return services().links.seal_form(FormPurpose.UNDO, data, services().now())


def _undo(token: str, link: Link, signed_undo: str) -> ResponseReturnValue:
    now = services().now()
    try:
        _, data = services().links.open_form(FormPurpose.UNDO, signed_undo, UNDO_PERIOD, now)
    except InvalidLink:
        data = {}
    if data.get("link") != link_fingerprint(token):
        return render_link_page("undo_expired", token, link)
    retraction = Retraction(
        id=UUID(data["id"]),
        event_ids=tuple(map(UUID, data["events"])),
        occurred_at=now,
        source=UNSUBSCRIBE_PAGE,
        actor=ACTOR,
        evidence=click_evidence(link, UNSUBSCRIBE_PAGE),
    )
    record([retraction])
    return render_link_page("undone", token, link)
