"""Saving the form of the preference page.

Anybody with the link may opt out. To opt in takes a link that proves control of the address, or
an email to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from flask import request

from preference_center.contacts.choices import PREFERENCE_PAGE, retract
from preference_center.contacts.rules.preferences import Preferences
from preference_center.cookies.signal import gpc_opt_out
from preference_center.core.errors import InvalidLink
from preference_center.core.events import Change
from preference_center.core.links import FormPurpose, OptInMethod
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services
from preference_center.ledger import record
from preference_center.recipients.pages.confirm import send_confirmation
from preference_center.recipients.pages.forms import (
    FREQUENCY_FIELD_PREFIX,
    PAUSE_FIELD_PREFIX,
    PreferenceForm,
    parse_choices,
)
from preference_center.recipients.pages.preference_changes import (
    PreferenceChanges,
    diff_preferences,
)
from preference_center.recipients.pages.preference_result import read_save_result
from preference_center.recipients.pages.preference_section import (
    find_opt_in_method,
    load_preferences,
)
from preference_center.recipients.rules.preference_form import SubmittedPreferences
from preference_center.recipients.rules.preference_result import SaveProblem, SaveResult
from preference_center.rights.erasure.come_back import record_opt_ins
from preference_center.web.languages import page_language
from preference_center.web.pages.rendering import catalogue_or_empty, open_for_link


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
    submitted = SubmittedPreferences(
        form.topics.data or (),
        parse_choices(request.form, PAUSE_FIELD_PREFIX),
        parse_choices(request.form, FREQUENCY_FIELD_PREFIX),
    )
    catalogue = catalogue_or_empty()
    current = load_preferences(catalogue, link, now)
    changes = diff_preferences(link, rendered, rendered_at, submitted, current, catalogue, now)
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
    record([retraction, *gpc_opt_out(link, now)])
    before = found.result
    return SaveResult(now, undone=[*before.turned_off, *before.paused, *before.lowered])


def _stop(submission: _Submission, by_signal: Sequence[Change]) -> Saved:
    """Record what is turned off, and what the browser's signal adds, which no undo takes back."""
    changes = submission.changes.turned_off
    result = SaveResult(
        submission.rendered_at,
        turned_off=[change.scope for change in submission.changes.opt_outs],
        paused={each.scope: each.until for each in submission.changes.pauses if each.until},
        frequencies=_keys(submission.changes.lowered),
        lowered=[change.scope for change in submission.changes.lowered],
    )
    if not changes and not by_signal:
        return Saved(result)
    recorded = record([*changes, *by_signal])
    # To take back what was off before would leave it off; a repeat stands for its first event.
    was_off = {change.id for change in changes if not submission.current.is_on(change.scope)}
    was_off.update(change.id for change in by_signal)
    repeated = recorded.repeats.values()
    return Saved(result, [*(each for each in recorded.events if each not in was_off), *repeated])


def _turn_on(submission: _Submission) -> SaveResult:
    link, changes = submission.link, submission.changes
    wanted = [change.scope for change in (*changes.opt_ins, *changes.resumes)]
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
        resumed=[change.scope for change in changes.resumes],
        frequencies=_keys(changes.raised),
    )


def _keys(changes: Sequence[Change]) -> dict[str, str]:
    """Topic -> frequency."""
    return {change.scope: change.frequency.key for change in changes if change.frequency}
