"""`/u/<token>` is the page with the ways out, what came of a press, and undo (RULES A3-A9).

After a press comes a redirect to a page that says what the ledger says, so it can be reloaded,
gone back to and shown in another language (docs/decisions/0069). A press on a page of several
addresses leads back there.

`/reason/<token>` is the survey after an opt-out: reasons are counted, nothing else is kept.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import assert_never
from urllib.parse import urlencode
from uuid import UUID

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.contacts.choices import UNSUBSCRIBE_PAGE, opt_out, retract
from preference_center.cookies.signal import gpc_opt_out, render_gpc_page
from preference_center.core.deadlines import UNDO_PERIOD
from preference_center.core.errors import InvalidLink, ProbeLink, Unavailable
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links import FormPurpose, probe_link
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services
from preference_center.infra.db.connections import LINK_CLICK_TIMEOUTS
from preference_center.infra.db.transactions import override_limits, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.spool import attempt_to_record, record_or_spool
from preference_center.recipients import store as unsubscribe_survey
from preference_center.recipients.pages.drafts import result_url
from preference_center.recipients.pages.results import (
    RESULT_PARAMETER,
    PressKind,
    PressResult,
    load_opt_out,
    press_result_url,
    read_press_result,
    redirect_to_result,
)
from preference_center.recipients.pages.sections import additional_tokens, text_number
from preference_center.recipients.rules import LinkOptOut, SaveResult
from preference_center.recipients.store import SurveyReason
from preference_center.web.pages.rendering import (
    link_fingerprint,
    open_for_link,
    render_link_page,
    seal_for_link,
    use_link_language,
)

_ACCEPTED = 202  # RFC 9110 15.3.3: accepted, and not yet processed


def unsubscribe(token: str = "") -> ResponseReturnValue:
    """Show the page (GET, HEAD) or handle its buttons (POST); for one click see `one_click`.

    A POST without a field of the page's form is one click, and never comes here. The response to
    a valid link is 2xx, or 303 to one, however often and however old (I7).
    """
    with override_limits(LINK_CLICK_TIMEOUTS):
        try:
            link = services().links.read_token(token, services().now())
        except ProbeLink:  # `flask check-domain`: the usual page, for nobody's address
            return render_link_page("recipients/unsubscribe", token, probe_link(services().now()))
        use_link_language(link)
        return handle_press(token, link) or show_opt_out(token, link)


PRESS_FIELDS = frozenset({"confirm", "undo"})
"""Fields of the forms of this page: a POST that has none of them is a one-click POST."""


def handle_press(token: str, link: Link) -> ResponseReturnValue | None:
    """The response to a press of an own button for opting out or undo; None for anything else."""
    if request.method != "POST":
        return None
    if "undo" in request.form:
        return _undo(token, link, request.form["undo"])
    scopes = {"this": link.scope, "all": ALL_MARKETING}
    scope = scopes.get(request.form.get("confirm", ""))
    return _record_opt_out(token, link, scope) if scope else None


def show_opt_out(
    token: str,
    link: Link,
    *,
    ask: str = "recipients/unsubscribe",
    already: str = "recipients/unsubscribed",
    **values: str | None,
) -> ResponseReturnValue:
    """What came of the press before, if any; else what is off already, or the ways out.

    `ask` is the template with the ways out, `already` the one for somebody who is out, `values`
    are further ones of theirs. A revoked link says nothing of what was chosen before.
    """
    pressed = read_press_result(token)
    found, of_press = None, None
    if pressed or not link.revoked:
        try:
            found = load_opt_out(link)
            of_press = _template_of(pressed, found) if pressed else None
        except Unavailable:  # the page works without the database: it repeats the response, or asks
            of_press = _TEMPLATES[pressed.kind] if pressed else None
    template = of_press or (already if found else ask)
    return render_gpc_page(
        template,
        token,
        link,
        endpoint=request.endpoint,
        result=pressed if of_press else None,
        opt_out=found,
        signed_undo=_sign_undo(token, found),
        self_path=_self_path(token, pressed),
        can_open=not link.expired,
        text_number=text_number(link) if template == "recipients/unsubscribed" else None,
        **values,
    )


_TEMPLATES = {
    PressKind.UNSUBSCRIBED: "recipients/unsubscribed",
    PressKind.RECEIVED: "recipients/opt_out_accepted",
    PressKind.UNDONE: "recipients/undone",
    PressKind.TOO_LATE: "recipients/undo_expired",
    PressKind.ANSWERED: "recipients/survey_thanks",
    PressKind.NOT_ANSWERED: "recipients/survey_thanks",
}


def _template_of(result: PressResult, found: LinkOptOut | None) -> str | None:
    """The template of a result; None if what was pressed no longer holds."""
    is_off = found is not None and (found.covers_all or result.scope != ALL_MARKETING)
    match result.kind:
        case PressKind.UNDONE:
            holds = not is_off
        case PressKind.RECEIVED if is_off:  # it has been recorded since
            return _TEMPLATES[PressKind.UNSUBSCRIBED]
        case PressKind.UNSUBSCRIBED | PressKind.TOO_LATE:
            holds = is_off
        case PressKind.RECEIVED | PressKind.ANSWERED | PressKind.NOT_ANSWERED:
            holds = True
        case _:
            assert_never(result.kind)
    return _TEMPLATES[result.kind] if holds else None


def _self_path(token: str, pressed: PressResult | None) -> str:
    """Where the switch of languages leads: to this page, with its result."""
    if pressed:
        return "?" + urlencode({RESULT_PARAMETER: request.args[RESULT_PARAMETER]})
    if request.method == "POST":
        return url_for(str(request.endpoint), token=token, lang=None)
    return ""


def _record_opt_out(token: str, link: Link, scope: str) -> ResponseReturnValue:
    now = services().now()
    endpoint = str(request.endpoint)
    changes = [opt_out(link, scope, UNSUBSCRIBE_PAGE, now), *gpc_opt_out(link, now)]
    if record_or_spool(changes) is not None:
        if additional_tokens():
            return redirect(_url_among_others(token, link, scope, now), 303)
        return redirect_to_result(token, PressResult(PressKind.UNSUBSCRIBED, scope), endpoint)
    # Without a redirect: in an outage the next request may reach a process that has no spool.
    received = PressResult(PressKind.RECEIVED, scope)
    return render_link_page(
        "recipients/opt_out_accepted",
        token,
        link,
        status=_ACCEPTED,
        result=received,
        self_path=press_result_url(token, received, endpoint, lang=None),
    )


def _url_among_others(token: str, link: Link, scope: str, now: datetime) -> str:
    """The preference page with several addresses, one of which was opted out there."""
    found = None
    with suppress(Unavailable):  # recorded in any case: then without an undo
        found = load_opt_out(link)
    events = found.undoable.events if found and found.undoable else ()
    return result_url(token, SaveResult(now, turned_off=[scope]), events, now)


def _sign_undo(token: str, found: LinkOptOut | None) -> str | None:
    """The sealed value of the undo button: exactly these events, for this link.

    The retraction's id is made now, so that pressing twice makes one retraction.
    """
    if found is None or found.undoable is None:
        return None
    data = {
        "id": str(services().new_id()),
        "events": [*map(str, found.undoable.events)],
        "all": found.covers_all,
    }
    return seal_for_link(FormPurpose.UNDO, token, data, found.undoable.pressed_at)


def _undo(token: str, link: Link, signed_undo: str) -> ResponseReturnValue:
    now = services().now()
    endpoint = str(request.endpoint)
    try:
        _, data = open_for_link(FormPurpose.UNDO, token, signed_undo, UNDO_PERIOD, now)
    except InvalidLink:
        return redirect_to_result(token, PressResult(PressKind.TOO_LATE, link.scope), endpoint)
    events = [UUID(each) for each in data["events"]]
    retraction = retract(link, UUID(data["id"]), events, UNSUBSCRIBE_PAGE, now)
    with attempt_to_record():
        record([retraction, *gpc_opt_out(link, now)])
    undone = ALL_MARKETING if data["all"] else link.scope
    return redirect_to_result(token, PressResult(PressKind.UNDONE, undone), endpoint)


SURVEY_RATE = "1 per day"
"""A reason given twice with one link counts once."""


def submit_survey(token: str = "") -> ResponseReturnValue:
    """Count one of the fixed reasons (POST), and redirect to the thanks. Raises InvalidLink."""
    context = services()
    link = context.links.read_token(token, context.now())
    answer = request.form.get("reason", "")
    is_known = answer in set(SurveyReason)
    scope = ALL_MARKETING if request.form.get("of") == "all" else link.scope
    if is_known and context.limiter.hit(SURVEY_RATE, "reason", link_fingerprint(token)):
        run_in_transaction(
            lambda connection: unsubscribe_survey.increment_count(
                connection, scope, SurveyReason(answer), context.now()
            )
        )
    kind = PressKind.ANSWERED if is_known else PressKind.NOT_ANSWERED
    return redirect_to_result(token, PressResult(kind, scope), "pages.unsubscribe")
