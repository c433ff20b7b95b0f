"""`/p/<token>` is the preference page, whose form this module saves.

Anybody with the link may opt out. To opt in takes a link that proves control of the address, or
an email to it.

A POST saves and redirects to the page that shows the result, so that it can be reloaded, gone
back to and read in another language (docs/decisions/0069).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import format_date
from flask_babel import gettext as _

from preference_center.catalogue import Catalogue, ConsentCutoff
from preference_center.contacts.choices import (
    PREFERENCE_PAGE,
    choose_frequency,
    is_opt_out_only,
    opt_in,
    opt_out,
    pause,
    resume,
    retract,
)
from preference_center.contacts.rules.preferences import Preferences
from preference_center.cookies.signal import gpc_opt_out, render_gpc_page
from preference_center.core.deadlines import PAUSE_DAYS
from preference_center.core.errors import InvalidLink
from preference_center.core.events import ALL_MARKETING, Change
from preference_center.core.links import FormPurpose, OptInMethod
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services
from preference_center.ledger import record
from preference_center.ledger.spool import attempt_to_record
from preference_center.recipients.pages.confirm import send_confirmation
from preference_center.recipients.pages.drafts import draft_url, result_url, with_draft
from preference_center.recipients.pages.results import (
    load_opt_out,
    load_presses,
    read_save_result,
    requested_result,
    result_query,
)
from preference_center.recipients.pages.sections import (
    PreferenceForm,
    find_opt_in_method,
    load_preferences,
    load_section,
    page_url,
    proven_links,
    submitted_form,
    text_number,
)
from preference_center.recipients.rules import (
    SaveProblem,
    SaveResult,
    SubmittedPreferences,
    diff_frequencies,
    diff_scopes,
    find_kept,
    kept_pauses,
    show_result,
)
from preference_center.rights.erasure.come_back import record_opt_ins
from preference_center.web.languages import page_language
from preference_center.web.pages.rendering import (
    CatalogueText,
    catalogue_or_empty,
    expired_link_page,
    open_for_link,
    use_link_language,
)


@dataclass(frozen=True, slots=True)
class PreferenceChanges:
    """The changes that a submitted form asks for."""

    opt_outs: Sequence[Change]
    pauses: Sequence[Change]
    opt_ins: Sequence[Change]
    resumes: Sequence[Change]
    kept_pauses: Sequence[Change]
    """Recorded with the opt-ins, so that a pause holds."""
    already: SaveResult
    """What the same form has done before, where it was sent twice."""
    lowered: Sequence[Change] = ()
    raised: Sequence[Change] = ()
    """How often a topic is sent: less, and more often than now."""
    kept: Sequence[Change] = ()
    """Consents to topics that end otherwise."""

    @property
    def turned_off(self) -> list[Change]:
        """The changes that any holder of a link may make."""
        return [*self.opt_outs, *self.pauses, *self.lowered]

    @property
    def turned_on(self) -> list[Change]:
        """The changes that take proof of control of the address."""
        return [*self.opt_ins, *self.kept, *self.resumes, *self.raised]


def diff_preferences(
    link: Link,
    rendered: Mapping[str, Any],
    rendered_at: datetime,
    submitted: SubmittedPreferences,
    current: Preferences,
    catalogue: Catalogue,
    now: datetime,
) -> PreferenceChanges:
    """The changes of a submitted form, as `diff_scopes` and `diff_frequencies` find them.

    Less often counts from the POST, more often from when the form was rendered (I5).
    """
    was = {ALL_MARKETING: rendered["all"], **rendered["topics"]}
    scopes = diff_scopes(was, submitted, current, now)
    keep, kept_already = find_kept(rendered.get("keep", ()), submitted, current)
    pauses = kept_pauses([*scopes.opt_ins, *keep], scopes.resumes, current)
    often = diff_frequencies(rendered.get("often", {}), submitted, current, catalogue)

    def choose(frequencies: Mapping[str, str], at: datetime) -> list[Change]:
        topics = ((catalogue.topic(key), chosen) for key, chosen in frequencies.items())
        return [choose_frequency(link, topic, chosen, at, now) for topic, chosen in topics]

    return PreferenceChanges(
        opt_outs=[opt_out(link, scope, PREFERENCE_PAGE, now) for scope in scopes.opt_outs],
        pauses=[pause(link, scope, until, now) for scope, until in scopes.pauses.items()],
        opt_ins=[
            opt_in(link, scope, rendered_at, now, _offered_wording(catalogue, scope))
            for scope in scopes.opt_ins
        ],
        resumes=[resume(link, scope, rendered_at, now) for scope in scopes.resumes],
        kept_pauses=[pause(link, scope, until, now) for scope, until in pauses.items()],
        lowered=choose(often.lowered, now),
        raised=choose(often.raised, rendered_at),
        kept=[
            opt_in(
                link,
                scope,
                rendered_at,
                now,
                _kept_wording(catalogue, scope, current.topics[scope].ends_by),
            )
            for scope in keep
        ],
        already=SaveResult(
            rendered_at,
            paused=scopes.paused_already,
            frequencies={**often.lowered_already, **often.raised_already},
            lowered=[*often.lowered_already],
            kept=kept_already,
        ),
    )


def _offered_wording(catalogue: Catalogue, scope: str) -> str:
    """What the page says of a topic that can be turned on, below its heading."""
    text, topic = CatalogueText(catalogue), catalogue.topics.get(scope)
    words = [text(topic.title), text(topic.description)] if topic else []
    return f"{_('What you receive')}: {' – '.join(filter(None, words))}"


def _kept_wording(catalogue: Catalogue, topic: str, cutoff: ConsentCutoff | None) -> str:
    """What the page says next to the "Keep" of a topic, and on its button."""
    day = format_date(cutoff.day, "long") if cutoff else ""
    title = CatalogueText(catalogue)(catalogue.topics[topic].title)
    words = [
        _("Our privacy policy changes on %(day)s.", day=day),
        _("From then on we no longer send you this, unless you press Keep:"),
        _("Keep: %(title)s", title=title),
    ]
    return " ".join(words)


@dataclass(frozen=True, slots=True)
class Saved:
    """The result of a Save, and the events that an undo takes back."""

    result: SaveResult
    undoable: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class _Submission:
    """One submitted form: what it asks for, and what was recorded when it arrived."""

    token: str = field(repr=False)
    link: Link = field(repr=False)
    form: PreferenceForm
    rendered_at: datetime
    current: Preferences
    changes: PreferenceChanges


def save_preferences(token: str, link: Link, form: PreferenceForm) -> Saved:
    """Record what differs from the rendered state; opt-outs are saved in any case (I1)."""
    now = services().now()
    state = form.state.data or ""
    try:
        rendered_at, rendered = open_for_link(FormPurpose.PREFERENCES, token, state, None, now)
    except InvalidLink:
        return Saved(SaveResult(now, problem=SaveProblem.INVALID_FORM))
    catalogue = catalogue_or_empty()
    current = load_preferences(catalogue, link, now)
    changes = diff_preferences(link, rendered, rendered_at, form.choices, current, catalogue, now)
    submission = _Submission(token, link, form, rendered_at, current, changes)
    stopped = _stop(submission, gpc_opt_out(link, now))
    if not changes.turned_on:
        return stopped
    turned_on = _turn_on(submission)
    return replace(
        stopped,
        result=replace(
            turned_on,
            turned_off=stopped.result.turned_off,
            kept=[*stopped.result.kept, *turned_on.kept],
            paused=stopped.result.paused,
            frequencies={**stopped.result.frequencies, **turned_on.frequencies},
            lowered=stopped.result.lowered,
        ),
    )


def undo_save(token: str, link: Link, sealed: str) -> SaveResult:
    """Retract what the Save of this sealed result turned off or paused, and nothing else."""
    now = services().now()
    found = read_save_result(token, sealed, now)
    if found is None or found.undo_id is None:
        return SaveResult(now, problem=SaveProblem.TOO_LATE_TO_UNDO)
    retraction = retract(link, found.undo_id, found.undoable, PREFERENCE_PAGE, now)
    with attempt_to_record():
        record([retraction, *gpc_opt_out(link, now)])
    before = found.result
    return SaveResult(now, undone=[*before.turned_off, *before.paused, *before.lowered])


def _stop(submission: _Submission, by_signal: Sequence[Change]) -> Saved:
    """Record what is turned off, and what the browser's signal adds, which no undo takes back."""
    changes, already = submission.changes.turned_off, submission.changes.already
    ends = {each.scope: each.until for each in submission.changes.pauses if each.until}
    result = SaveResult(
        submission.rendered_at,
        turned_off=[change.scope for change in submission.changes.opt_outs],
        paused={**already.paused, **ends},
        frequencies={**already.frequencies, **_keys(submission.changes.lowered)},
        kept=already.kept,
        lowered=[*already.lowered, *(change.scope for change in submission.changes.lowered)],
    )
    before = load_presses(
        submission.link, [*already.paused, *already.lowered], submission.rendered_at
    )
    if not changes and not by_signal:
        return Saved(result, before)
    with attempt_to_record():
        recorded = record([*changes, *by_signal])
    # To take back what was off before would leave it off; a repeat stands for its first event.
    was_off = {change.id for change in changes if not submission.current.is_on(change.scope)}
    was_off.update(change.id for change in by_signal)
    repeated = recorded.repeats.values()
    new = [each for each in recorded.events if each not in was_off]
    return Saved(result, [*new, *repeated, *before])


def _turn_on(submission: _Submission) -> SaveResult:
    link, changes = submission.link, submission.changes
    wanted = [change.scope for change in (*changes.opt_ins, *changes.kept, *changes.resumes)]
    unsaved = SaveResult(
        submission.rendered_at, unsaved=[change.scope for change in changes.opt_ins]
    )
    if submission.current.restricted:
        return SaveResult(submission.rendered_at, problem=SaveProblem.RESTRICTED)
    method = find_opt_in_method(link)
    if link.expired or method is OptInMethod.UNAVAILABLE:
        return SaveResult(submission.rendered_at, problem=SaveProblem.MAIL_UNAVAILABLE)
    if method is OptInMethod.CONFIRM_BY_EMAIL:
        form = submission.form.state.data
        if not send_confirmation(
            submission.token, link, form, submission.rendered_at, changes.turned_on
        ):
            return replace(unsaved, problem=SaveProblem.MAIL_LIMIT_REACHED)
        return SaveResult(
            submission.rendered_at,
            to_confirm=wanted,
            frequencies_to_confirm=_keys(changes.raised),
        )
    if not submission.form.validate():
        return replace(unsaved, problem=SaveProblem.MISSING_COOKIE)
    record_opt_ins([*changes.turned_on, *changes.kept_pauses], page_language())
    return SaveResult(
        submission.rendered_at,
        turned_on=[change.scope for change in changes.opt_ins],
        kept=[change.scope for change in changes.kept],
        resumed=[change.scope for change in changes.resumes],
        frequencies=_keys(changes.raised),
    )


def _keys(changes: Sequence[Change]) -> dict[str, str]:
    """Topic -> frequency."""
    return {change.scope: change.frequency.key for change in changes if change.frequency}


def preferences(token: str = "") -> ResponseReturnValue:
    """Show what one address receives (GET, HEAD), or save the changes (POST)."""
    now = services().now()
    link = services().links.read_token(token, now)
    use_link_language(link)
    if request.method == "POST":
        return redirect(draft_url(token) if "show" in request.form else _save(token, link), 303)
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
            visits,
            (key, each),
            catalogue,
            current if key == token else load_preferences(catalogue, each, now),
            now,
        )
        for key, each in visits
    ]
    if any(each.has_form for each in sections):
        values |= {"switch_form": "choices", "sealed_result": requested_result()}
    return render_gpc_page(
        "recipients/preferences",
        token,
        link,
        sections=[with_draft(each) for each in sections],
        service=catalogue.always_on(closed=False),  # the template shows none to a closed account
        pauses=PAUSE_DAYS,
        **values,
    )


def _save(token: str, link: Link) -> str:
    """Save the section of `token`, or undo a Save of it; the URL of the page that says so."""
    now, undo = services().now(), request.form.get("undo")
    form = submitted_form(token, csrf=link.proves_control)
    saved = Saved(undo_save(token, link, undo)) if undo else save_preferences(token, link, form)
    return result_url(token, saved.result, saved.undoable, now)


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
