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
from preference_center.links import Link, SealedForm
from preference_center.pages.confirm_opt_in import ask, titles
from preference_center.pages.forms import PreferenceForm, pauses_in
from preference_center.pages.gpc import honouring, signalled_page
from preference_center.pages.ledger_changes import PREFERENCE_PAGE, only_says_no
from preference_center.pages.opt_out_status import title_of_tool
from preference_center.pages.preference_changes import PAUSES, Ticks, Wishes, wishes
from preference_center.pages.preference_choices import Choices, choices_for, stand
from preference_center.pages.rendering import (
    can_mail,
    catalogue_or_empty,
    expired_page,
    link_mark,
    speak_to,
)
from preference_center.storage.db.database import run
from preference_center.storage.ledger.suppression_lookup import exact_facts_for
from preference_center.storage.sync import destinations


class Way(StrEnum):
    """How something can be turned on by a link (docs/decisions/0005)."""

    AT_ONCE = "at_once"
    BY_MAIL = "by_mail"
    NO_MAIL = "no_mail"
    """Not at all: it would have to be confirmed by a mail, and there is no way to send one."""


def preferences(token: str = "") -> ResponseReturnValue:
    """Show what one address receives (GET, HEAD), or save what was changed (POST)."""
    now = services().now()
    link = services().links.read(token, now)
    speak_to(link.address)
    # Only what is recorded at once could be somebody else's doing, and only it needs a cookie.
    form = PreferenceForm(meta={"csrf": link.proven})
    answer = _save(token, link, form) if request.method == "POST" else Answer()
    if link.expired:  # a page left open: its "no" is heard, and nothing more is shown
        return expired_page(token, saved="stopped" in answer.notices)
    catalogue = catalogue_or_empty()
    shown: dict[str, Any] = {"asked": titles(catalogue, answer.asked)}
    if only_says_no(link, now):
        return old_link_page(token, link, notices=answer.notices, **shown)
    now = services().now()
    choices = choices_for(catalogue, link.address.channel, exact_facts_for([link.address])[0], now)
    notices = [*answer.notices]
    if not stand(choices, answer.turned_on):
        notices.append("overtaken")
    return signalled_page(
        "preferences",
        token,
        link,
        catalogue=catalogue,
        choices=choices,
        form=form,
        state=services().links.sign_form(
            SealedForm.PREFERENCES, choices.rendered(link_mark(token)), now
        ),
        way=way_on(link),
        pauses=PAUSES,
        stubborn=_stubborn(choices),
        notices=notices,
        still_ticked={change.scope for change in answer.refused},
        **shown,
    )


def old_link_page(token: str, link: Link, **values: Any) -> ResponseReturnValue:
    """The page of a link that only says no: its buttons, and a way to a fresh link."""
    mailable = way_on(link) is Way.BY_MAIL
    return signalled_page("opt_out_only_link", token, link, mailable=mailable, **values)


def _stubborn(choices: Choices) -> list[str]:
    """What the tools are called that can neither hold a pause nor turn on again (I10)."""
    topics = [choice.topic.key for choice in choices.topics]
    names = run(lambda connection: destinations.without_lifts(connection, topics))
    return [title_of_tool(name) for name in names]


def way_on(link: Link) -> Way:
    """How this link can turn something on."""
    if link.proven:
        return Way.AT_ONCE
    reachable = link.address.channel is Channel.EMAIL and can_mail()
    return Way.BY_MAIL if reachable else Way.NO_MAIL


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a POST. `notices` name the messages that the page shows."""

    notices: tuple[str, ...] = ()
    turned_on: Sequence[Change] = ()
    asked: Sequence[str] = ()
    """The scopes that a mail asks to confirm."""
    refused: Sequence[Change] = ()
    """What the person wanted on and may yet save: their ticks must not be lost."""


def _save(token: str, link: Link, form: PreferenceForm) -> Answer:
    """Record what differs from what was rendered; a "no" is saved whatever else is wrong."""
    now = services().now()
    state = form.state.data or ""
    try:
        rendered_at, rendered = services().links.read_form(SealedForm.PREFERENCES, state, None, now)
    except InvalidLink:
        return Answer(("unreadable",))
    if rendered.get("link") != link_mark(token):
        return Answer(("unreadable",))
    ticks = Ticks(form.all_marketing.data, form.topics.data or (), pauses_in(request.form))
    facts = exact_facts_for([link.address])[0]
    wished = wishes(link, rendered, rendered_at, ticks, facts, now)
    honoured = honouring(link, PREFERENCE_PAGE, now)
    if wished.nos or honoured:
        record([*wished.nos, *honoured])
    if honoured:  # what it stops can be turned on again, but by an answer that knows of it
        return Answer(("saved", "stopped", *(["signal_first"] if wished.yeses else [])))
    if not wished.yeses:
        return Answer(_saved(wished))
    answer = _turn_on(token, link, form, rendered_at, wished)
    saved = _saved(wished) if wished.nos or answer.turned_on else ()
    return Answer((*saved, *answer.notices), answer.turned_on, answer.asked, answer.refused)


def _turn_on(
    token: str, link: Link, form: PreferenceForm, rendered_at: datetime, wished: Wishes
) -> Answer:
    way = way_on(link)
    if link.expired or way is Way.NO_MAIL:
        return Answer(("no_mail",))
    if way is Way.BY_MAIL:
        if not ask(token, link, form.state.data, rendered_at, wished.yeses):
            return Answer(("enough_mails",))
        return Answer(("asked",), asked=[change.scope for change in wished.yeses])
    if not form.validate():
        return Answer(("no_cookie",), refused=wished.opt_ins)
    record(wished.yeses)
    return Answer(turned_on=wished.yeses)


def _saved(wished: Wishes) -> tuple[str, ...]:
    return ("saved", "stopped") if wished.nos else ("saved",)
