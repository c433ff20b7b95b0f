"""`/p/<token>`: the preference page.

It saves by POST, answers with itself, and needs a cookie only to turn something on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import request
from flask.typing import ResponseReturnValue

from preference_center.domain.events import Change
from preference_center.errors import InvalidLink
from preference_center.extensions import services
from preference_center.ledger import record
from preference_center.links import Link
from preference_center.recipients.changes import may_opt_in
from preference_center.recipients.choices import changes_of, choices_for, stand
from preference_center.recipients.forms import PreferenceForm
from preference_center.recipients.pages import (
    catalogue_or_empty,
    expired_page,
    link_mark,
    link_page,
)
from preference_center.storage.facts import exact_facts_for


def preferences(token: str = "") -> ResponseReturnValue:
    """Show what one address receives (GET, HEAD), or save what was changed (POST)."""
    link = services().links.read(token, services().now())
    form = PreferenceForm()
    answer = _save(token, link, form) if request.method == "POST" else Answer()
    if link.expired:  # a page left open: its "no" is heard, and nothing more is shown
        return expired_page(token, saved="stopped" in answer.notices)
    now = services().now()
    catalogue = catalogue_or_empty()
    choices = choices_for(catalogue, link.address.channel, exact_facts_for([link.address])[0], now)
    notices = [*answer.notices]
    if not stand(choices, answer.turned_on):
        notices.append("overtaken")
    return link_page(
        "preferences",
        token,
        link,
        catalogue=catalogue,
        choices=choices,
        form=form,
        state=services().links.sign_form(choices.rendered(link_mark(token)), now),
        may_opt_in=may_opt_in(link, now),
        notices=notices,
        still_ticked={change.scope for change in answer.refused},
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a POST. `notices` name the messages that the page shows."""

    notices: tuple[str, ...] = ()
    turned_on: Sequence[Change] = ()
    refused: Sequence[Change] = ()
    """What the person wanted on and may yet save: their ticks must not be lost."""


def _save(token: str, link: Link, form: PreferenceForm) -> Answer:
    """Record what differs from what was rendered.

    Opt-outs are saved whatever is wrong with the cookie or the age of the link. Opt-ins
    need both, since they could be somebody else's doing (docs/decisions).
    """
    now = services().now()
    try:
        rendered_at, rendered = services().links.read_form(form.state.data or "", None, now)
    except InvalidLink:
        return Answer(("unreadable",))
    if rendered.get("link") != link_mark(token):
        return Answer(("unreadable",))
    outs, ins = changes_of(
        link,
        rendered,
        rendered_at,
        all_marketing=form.all_marketing.data,
        topics=form.topics.data or (),
        now=now,
    )
    refusal = _refusal(link, form, now) if ins else None
    accepted = outs if refusal else [*outs, *ins]
    if accepted:
        record(accepted)
    saved = ("saved", "stopped") if outs else ("saved",)
    if refusal is None:
        return Answer(saved, turned_on=ins)
    return Answer(
        (*(saved if outs else ()), refusal), refused=ins if refusal == "no_cookie" else ()
    )


def _refusal(link: Link, form: PreferenceForm, now: datetime) -> str | None:
    """Why nothing can be turned on by this request, if so."""
    if not may_opt_in(link, now):
        return "old_link"
    return None if form.validate() else "no_cookie"
