"""`/p/<token>`: the preference page.

A POST saves and redirects to the page that shows the result, so that it can be reloaded, gone
back to and read in another language (docs/decisions/0070).
"""

from __future__ import annotations

from typing import Any

from flask import redirect, request
from flask.typing import ResponseReturnValue

from preference_center.contacts.choices import is_opt_out_only
from preference_center.cookies.signal import render_gpc_page
from preference_center.core.deadlines import PAUSE_DAYS
from preference_center.core.links import OptInMethod
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services
from preference_center.recipients.pages.forms import PreferenceForm
from preference_center.recipients.pages.link_opt_outs import load_opt_out
from preference_center.recipients.pages.pages_text_number import text_number
from preference_center.recipients.pages.preference_result import (
    read_save_result,
    requested_result,
    result_query,
    save_result_url,
)
from preference_center.recipients.pages.preference_save import Saved, save_preferences, undo_save
from preference_center.recipients.pages.preference_section import (
    find_opt_in_method,
    load_preferences,
    load_section,
)
from preference_center.recipients.pages.proven_addresses import (
    additional_tokens,
    page_url,
    proven_links,
)
from preference_center.recipients.rules.preference_result import show_result
from preference_center.web.pages.rendering import (
    catalogue_or_empty,
    expired_link_page,
    use_link_language,
)


def preferences(token: str = "") -> ResponseReturnValue:
    """Show what one address receives (GET, HEAD), or save the changes (POST)."""
    now = services().now()
    link = services().links.read_token(token, now)
    use_link_language(link)
    # CSRF matters only where a change is recorded immediately, so only there is a cookie needed.
    form = PreferenceForm(meta={"csrf": link.proves_control})
    if request.method == "POST":
        undo = request.form.get("undo")
        saved = Saved(undo_save(token, link, undo)) if undo else save_preferences(token, link, form)
        others = additional_tokens()
        url = save_result_url("pages.preferences", token, saved.result, saved.undoable, now, others)
        return redirect(url, 303)
    found = read_save_result(token, requested_result(), now)
    if link.expired:  # a page left open: its opt-outs are saved, and nothing more is shown
        return expired_link_page(token, opt_out_saved=bool(found and found.result.has_stopped))
    catalogue = catalogue_or_empty()
    current = load_preferences(catalogue, link, now)
    shown = show_result(found.result, current) if found else None
    visits = proven_links(token, link)
    values: dict[str, Any] = {
        "catalogue": catalogue,
        "result": shown,
        "self_path": result_query(),
        "page_path": page_url(token, visits),
    }
    if found and found.undo_id and shown and (shown.saved.has_stopped or shown.saved.lowered):
        values["undo"] = requested_result()
    if is_opt_out_only(link, now):
        return old_link_page(token, link, **values)
    sections = [
        load_section(
            page_url(key, visits),
            key,
            each,
            catalogue,
            current if key == token else load_preferences(catalogue, each, now),
            now,
        )
        for key, each in visits
    ]
    return render_gpc_page(
        "recipients/preferences",
        token,
        link,
        sections=sections,
        service=catalogue.always_on(closed=False),  # the template shows none to a closed account
        form=form,
        pauses=PAUSE_DAYS,
        **values,
    )


def old_link_page(token: str, link: Link, **values: Any) -> ResponseReturnValue:
    """The page of a link that may only opt out: its buttons, and how to get a newer link.

    A revoked link says nothing of what was chosen before.
    """
    return render_gpc_page(
        "web/pages/opt_out_only_link",
        token,
        link,
        can_confirm_by_email=find_opt_in_method(link) is OptInMethod.CONFIRM_BY_EMAIL,
        opt_out=None if link.revoked else load_opt_out(link),
        text_number=text_number(link),
        **values,
    )
