"""`/p/<token>`: the preference page.

It saves by POST and answers with itself. Anybody with the link may say no. To turn
something on takes a link that proves control of the address, or a mail to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.domain.addresses import Channel
from preference_center.domain.events import Change
from preference_center.errors import InvalidLink
from preference_center.extensions import services
from preference_center.ledger import record
from preference_center.links import FormPurpose, Link
from preference_center.pages.confirm_opt_in import scope_titles, send_confirmation
from preference_center.pages.forms import PreferenceForm, parse_pauses
from preference_center.pages.gpc import gpc_opt_out, render_gpc_page
from preference_center.pages.ledger_changes import PREFERENCE_PAGE, is_opt_out_only
from preference_center.pages.opt_out_status import tool_title
from preference_center.pages.preference_changes import (
    PAUSE_DAYS,
    PreferenceChanges,
    SubmittedPreferences,
    diff_preferences,
)
from preference_center.pages.preference_choices import PreferenceChoices, all_applied, choices_for
from preference_center.pages.rendering import (
    can_mail,
    catalogue_or_empty,
    expired_link_page,
    link_fingerprint,
    use_contact_language,
)
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.ledger.suppression_lookup import load_exact_facts
from preference_center.storage.sync import destinations


class OptInMethod(StrEnum):
    """How something can be turned on by a link (docs/decisions/0005)."""

    IMMEDIATE = "at_once"
    CONFIRM_BY_EMAIL = "by_mail"
    UNAVAILABLE = "no_mail"
    """Not at all: it would have to be confirmed by a mail, and there is no way to send one."""


def preferences(token: str = "") -> ResponseReturnValue:
    """Show what one address receives (GET, HEAD), or save what was changed (POST)."""
    now = services().now()
    link = services().links.read_token(token, now)
    use_contact_language(link.address)
    # Only what is recorded at once could be somebody else's doing, and only it needs a cookie.
    form = PreferenceForm(meta={"csrf": link.proves_control})
    answer = _save(token, link, form) if request.method == "POST" else SaveResult()
    if link.expired:  # a page left open: its "no" is heard, and nothing more is shown
        return expired_link_page(token, saved="stopped" in answer.notices)
    catalogue = catalogue_or_empty()
    shown: dict[str, Any] = {"asked": scope_titles(catalogue, answer.confirmation_scopes)}
    if is_opt_out_only(link, now):
        return old_link_page(token, link, notices=answer.notices, **shown)
    now = services().now()
    choices = choices_for(catalogue, link.address.channel, load_exact_facts([link.address])[0], now)
    notices = [*answer.notices]
    if not all_applied(choices, answer.turned_on):
        notices.append("overtaken")
    return render_gpc_page(
        "preferences",
        token,
        link,
        catalogue=catalogue,
        choices=choices,
        form=form,
        state=services().links.seal_form(
            FormPurpose.PREFERENCES, choices.form_state(link_fingerprint(token)), now
        ),
        way=opt_in_method(link),
        pauses=PAUSE_DAYS,
        stubborn=_one_way_tools(choices),
        notices=notices,
        still_ticked={change.scope for change in answer.not_saved},
        **shown,
    )


def old_link_page(token: str, link: Link, **values: Any) -> ResponseReturnValue:
    """The page of a link that only says no: its buttons, and a way to a fresh link."""
    mailable = opt_in_method(link) is OptInMethod.CONFIRM_BY_EMAIL
    return render_gpc_page("opt_out_only_link", token, link, mailable=mailable, **values)


def _one_way_tools(choices: PreferenceChoices) -> list[str]:
    """What the tools are called that can neither hold a pause nor turn on again (I10)."""
    topics = [choice.topic.key for choice in choices.topics]
    names = run_in_transaction(
        lambda connection: destinations.list_names_without_lifts(connection, topics)
    )
    return [tool_title(name) for name in names]


def opt_in_method(link: Link) -> OptInMethod:
    """How this link can turn something on."""
    if link.proves_control:
        return OptInMethod.IMMEDIATE
    reachable = link.address.channel is Channel.EMAIL and can_mail()
    return OptInMethod.CONFIRM_BY_EMAIL if reachable else OptInMethod.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class SaveResult:
    """What came of a POST. `notices` name the messages that the page shows."""

    notices: tuple[str, ...] = ()
    turned_on: Sequence[Change] = ()
    confirmation_scopes: Sequence[str] = ()
    """The scopes that a mail asks to confirm."""
    not_saved: Sequence[Change] = ()
    """What the person wanted on and may yet save: their ticks must not be lost."""


def _save(token: str, link: Link, form: PreferenceForm) -> SaveResult:
    """Record what differs from what was rendered; a "no" is saved whatever else is wrong."""
    now = services().now()
    state = form.state.data or ""
    try:
        rendered_at, rendered = services().links.open_form(
            FormPurpose.PREFERENCES, state, None, now
        )
    except InvalidLink:
        return SaveResult(("unreadable",))
    if rendered.get("link") != link_fingerprint(token):
        return SaveResult(("unreadable",))
    ticks = SubmittedPreferences(
        form.all_marketing.data, form.topics.data or (), parse_pauses(request.form)
    )
    facts = load_exact_facts([link.address])[0]
    wished = diff_preferences(link, rendered, rendered_at, ticks, facts, now)
    honoured = gpc_opt_out(link, PREFERENCE_PAGE, now)
    if wished.turned_off or honoured:
        record([*wished.turned_off, *honoured])
    if honoured:  # what it stops can be turned on again, but by an answer that knows of it
        return SaveResult(("saved", "stopped", *(["signal_first"] if wished.turned_on else [])))
    if not wished.turned_on:
        return SaveResult(_saved_notices(wished))
    answer = _turn_on(token, link, form, rendered_at, wished)
    saved = _saved_notices(wished) if wished.turned_off or answer.turned_on else ()
    return SaveResult(
        (*saved, *answer.notices), answer.turned_on, answer.confirmation_scopes, answer.not_saved
    )


def _turn_on(
    token: str, link: Link, form: PreferenceForm, rendered_at: datetime, changes: PreferenceChanges
) -> SaveResult:
    way = opt_in_method(link)
    if link.expired or way is OptInMethod.UNAVAILABLE:
        return SaveResult(("no_mail",))
    if way is OptInMethod.CONFIRM_BY_EMAIL:
        if not send_confirmation(token, link, form.state.data, rendered_at, changes.turned_on):
            return SaveResult(("enough_mails",))
        return SaveResult(
            ("asked",), confirmation_scopes=[change.scope for change in changes.turned_on]
        )
    if not form.validate():
        return SaveResult(("no_cookie",), not_saved=changes.opt_ins)
    record(changes.turned_on)
    return SaveResult(turned_on=changes.turned_on)


def _saved_notices(changes: PreferenceChanges) -> tuple[str, ...]:
    return ("saved", "stopped") if changes.turned_off else ("saved",)
