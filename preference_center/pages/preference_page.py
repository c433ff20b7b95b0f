"""`/p/<token>`: the preference page.

A POST saves and returns the same page. Anybody with the link may opt out. To opt in takes
a link that proves control of the address, or an email to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.context import services
from preference_center.destinations.titles import list_one_way_titles
from preference_center.domain.catalogue import Catalogue, MessageClass, MessageType, Topic
from preference_center.domain.events import ALL_MARKETING, Change
from preference_center.domain.link_access import OptInMethod, opt_in_method
from preference_center.domain.preference_form import PAUSE_DAYS, SubmittedPreferences
from preference_center.domain.preferences import Preferences, compute_preferences, shown_facts
from preference_center.errors import InvalidLink
from preference_center.languages import page_language
from preference_center.ledger import record
from preference_center.links import FormPurpose, Link
from preference_center.pages.confirm_opt_in import scope_titles, send_confirmation
from preference_center.pages.forms import PreferenceForm, parse_pauses
from preference_center.pages.gpc import gpc_opt_out, render_gpc_page
from preference_center.pages.ledger_changes import PREFERENCE_PAGE, is_opt_out_only
from preference_center.pages.preference_changes import (
    PreferenceChanges,
    diff_preferences,
)
from preference_center.pages.rendering import (
    can_mail,
    catalogue_or_empty,
    expired_link_page,
    link_fingerprint,
    use_contact_language,
)
from preference_center.rights.returning import record_opt_ins
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.ledger.suppression_lookup import load_facts


def preferences(token: str = "") -> ResponseReturnValue:
    """Show what one address receives (GET, HEAD), or save the changes (POST)."""
    now = services().now()
    link = services().links.read_token(token, now)
    use_contact_language(link.address)
    # CSRF matters only where a change is recorded immediately, so only there is a cookie needed.
    form = PreferenceForm(meta={"csrf": link.proves_control})
    result = _save(token, link, form) if request.method == "POST" else SaveResult()
    if link.expired:  # a page left open: its opt-outs are saved, and nothing more is shown
        return expired_link_page(token, opt_out_saved="turned_off" in result.notices)
    catalogue = catalogue_or_empty()
    titles = scope_titles(catalogue, result.confirmation_scopes)
    shown: dict[str, Any] = {"confirmation_titles": titles}
    if is_opt_out_only(link, now):
        return old_link_page(token, link, notices=result.notices, **shown)
    now = services().now()
    current = _load_preferences(catalogue, link, now)
    groups = _topics_by_group(catalogue, current)
    topics = [topic for members in groups.values() for topic in members]
    on_topics = [topic for topic in topics if current.is_on(topic.key)]
    notices = [*result.notices]
    if not current.has_applied(result.turned_on):
        notices.append("changed_meanwhile")
    return render_gpc_page(
        "preferences",
        token,
        link,
        catalogue=catalogue,
        preferences=current,
        channel=link.address.channel,
        groups=groups,
        topics=topics,
        on_topics=on_topics,
        topic_is_paused=any(current.topics[topic.key].own_pause_until for topic in on_topics),
        service=_service_messages(catalogue),
        form=form,
        state=services().links.seal_form(FormPurpose.PREFERENCES, _form_state(current, token), now),
        opt_in_method=_opt_in_method(link),
        pauses=PAUSE_DAYS,
        one_way_tools=_one_way_tools(catalogue, [*current.topics]),
        notices=notices,
        unsaved_scopes={change.scope for change in result.not_saved},
        **shown,
    )


def old_link_page(token: str, link: Link, **values: Any) -> ResponseReturnValue:
    """The page of a link that may only opt out: its buttons, and how to get a newer link."""
    can_confirm = _opt_in_method(link) is OptInMethod.CONFIRM_BY_EMAIL
    return render_gpc_page(
        "opt_out_only_link", token, link, can_confirm_by_email=can_confirm, **values
    )


def _load_preferences(catalogue: Catalogue, link: Link, now: datetime) -> Preferences:
    facts = shown_facts(load_facts([link.address])[0])
    return compute_preferences(catalogue, link.address, facts, now)


def _form_state(current: Preferences, token: str) -> dict[str, Any]:
    """The state that the person saw, for this link; the form must return it."""
    return {
        "link": link_fingerprint(token),
        "all": current.is_on(ALL_MARKETING),
        "topics": {key: current.is_on(key) for key in current.topics},
    }


def _topics_by_group(catalogue: Catalogue, current: Preferences) -> Mapping[str, Sequence[Topic]]:
    groups: dict[str, list[Topic]] = {}
    for key in current.topics:
        topic = catalogue.topics[key]
        groups.setdefault(topic.group, []).append(topic)
    return groups


def _service_messages(catalogue: Catalogue) -> list[MessageType]:
    return [
        kind
        for kind in catalogue.message_types.values()
        if kind.message_class is MessageClass.SERVICE
    ]


def _one_way_tools(catalogue: Catalogue, topics: Sequence[str]) -> list[str]:
    """The titles of tools that can neither pause nor turn on again (I10)."""
    return run_in_transaction(lambda connection: list_one_way_titles(connection, catalogue, topics))


def _opt_in_method(link: Link) -> OptInMethod:
    return opt_in_method(
        link.address.channel, proves_control=link.proves_control, can_mail=can_mail()
    )


@dataclass(frozen=True, slots=True)
class SaveResult:
    """The outcome of a POST. `notices` name the messages that the page shows."""

    notices: tuple[str, ...] = ()
    turned_on: Sequence[Change] = ()
    confirmation_scopes: Sequence[str] = ()
    """The scopes that an email asks to confirm."""
    not_saved: Sequence[Change] = ()
    """Opt-ins to save with a second POST: their boxes stay ticked."""


def _save(token: str, link: Link, form: PreferenceForm) -> SaveResult:
    """Record what differs from the rendered state; opt-outs are saved in any case."""
    now = services().now()
    state = form.state.data or ""
    try:
        rendered_at, rendered = services().links.open_form(
            FormPurpose.PREFERENCES, state, None, now
        )
    except InvalidLink:
        return SaveResult(("invalid_form",))
    if rendered.get("link") != link_fingerprint(token):
        return SaveResult(("invalid_form",))
    ticks = SubmittedPreferences(
        form.all_marketing.data, form.topics.data or (), parse_pauses(request.form)
    )
    current = _load_preferences(catalogue_or_empty(), link, now)
    changes = diff_preferences(link, rendered, rendered_at, ticks, current, now)
    honoured = gpc_opt_out(link, PREFERENCE_PAGE, now)
    if changes.turned_off or honoured:
        record([*changes.turned_off, *honoured])
    if honoured:  # what it stops can be turned on again, but only by a form that shows it
        ignored = ["gpc_applied_first"] if changes.turned_on else []
        return SaveResult(("saved", "turned_off", *ignored))
    if not changes.turned_on:
        return SaveResult(_saved_notices(changes))
    if current.restricted:
        return SaveResult((*(_saved_notices(changes) if changes.turned_off else ()), "restricted"))
    result = _turn_on(token, link, form, rendered_at, changes)
    saved = _saved_notices(changes) if changes.turned_off or result.turned_on else ()
    return SaveResult(
        (*saved, *result.notices), result.turned_on, result.confirmation_scopes, result.not_saved
    )


def _turn_on(
    token: str, link: Link, form: PreferenceForm, rendered_at: datetime, changes: PreferenceChanges
) -> SaveResult:
    method = _opt_in_method(link)
    if link.expired or method is OptInMethod.UNAVAILABLE:
        return SaveResult(("mail_unavailable",))
    if method is OptInMethod.CONFIRM_BY_EMAIL:
        if not send_confirmation(token, link, form.state.data, rendered_at, changes.turned_on):
            return SaveResult(("mail_limit_reached",))
        return SaveResult(
            ("confirmation_sent",),
            confirmation_scopes=[change.scope for change in changes.turned_on],
        )
    if not form.validate():
        return SaveResult(("missing_cookie",), not_saved=changes.opt_ins)
    record_opt_ins(changes.turned_on, page_language())
    return SaveResult(turned_on=changes.turned_on)


def _saved_notices(changes: PreferenceChanges) -> tuple[str, ...]:
    return ("saved", "turned_off") if changes.turned_off else ("saved",)
