"""These rules compare a preference form and an unsubscribe link with what is recorded.

They state what a submitted form changes against what was rendered, what a Save did and what of it
still holds when the page is shown, what somebody who opens an unsubscribe link has already turned
off, and what they may undo.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from preference_center.catalogue import Catalogue
from preference_center.contacts.rules.preferences import Preferences
from preference_center.core.deadlines import PAUSE_DAYS, UNDO_PERIOD
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    REPEAT_INTERVAL,
    Event,
    EventKind,
    ScopeFact,
    fold,
)
from preference_center.core.events import IMPORT_SOURCE as IMPORT
from preference_center.core.events import MOVE_SOURCE as MOVE
from preference_center.decisions.rules import is_less_often
from preference_center.destinations.rules.delivery import ActiveSuppression, active_suppressions

RESUME_CHOICE = "resume"
"""The form's value, instead of days, to end a pause."""


@dataclass(frozen=True, slots=True)
class SubmittedPreferences:
    """The submitted form: ticked topics, and the choices of pauses and frequencies by scope."""

    topics: Collection[str]
    pauses: Mapping[str, str] = field(default_factory=dict)
    frequencies: Mapping[str, str] = field(default_factory=dict)
    keep: str = ""
    """The topic whose "Keep" was pressed; empty for Save."""


@dataclass(frozen=True, slots=True)
class ScopeChanges:
    """The scopes that a submitted form changes; `pauses`: scope -> end.

    `paused_already` are pauses that run as the form asks: it was sent before.
    """

    opt_outs: Sequence[str]
    pauses: Mapping[str, datetime]
    opt_ins: Sequence[str]
    resumes: Sequence[str]
    paused_already: Mapping[str, datetime] = field(default_factory=dict)


def find_kept(
    rendered: Collection[str], submitted: SubmittedPreferences, current: Preferences
) -> tuple[Sequence[str], Sequence[str]]:
    """The topics to agree to again before they end, and those that the form kept before.

    `rendered` are those that the form offered to keep. One that the same form turns off, or that
    is off by now, is not kept: "Keep" turns nothing on (I5).
    """
    topic = submitted.keep
    status = current.topics.get(topic)
    if topic not in rendered or topic not in submitted.topics or status is None:
        return (), ()
    if not current.is_on(topic):
        return (), ()
    return ((topic,), ()) if status.can_keep else ((), (topic,))


def diff_scopes(
    rendered: Mapping[str, bool],
    submitted: SubmittedPreferences,
    current: Preferences,
    now: datetime,
) -> ScopeChanges:
    """The differences between the submitted and the rendered state.

    `rendered`: scope -> whether it was shown as on. What a stale form or a second tab did not
    touch stays as it is (I5, RULES C4). A pause that is active already is not begun again (I7).
    All marketing can be paused here, and is turned off by a button of its own: as a box next to
    the topics, it could contradict them (docs/decisions/0069).
    """
    topics = [scope for scope in rendered if scope != ALL_MARKETING]
    differing = [topic for topic in topics if rendered[topic] != (topic in submitted.topics)]
    opt_outs = [topic for topic in differing if rendered[topic]]
    # A pause of what is off, or of what the same form turns off, has no effect.
    chosen = {
        scope: submitted.pauses.get(scope, "")
        for scope in rendered
        if rendered[scope] and scope not in opt_outs
    }
    ends = dict(_chosen_ends(chosen, now))
    already = dict(_running_as_chosen(ends, current))
    return ScopeChanges(
        opt_outs=opt_outs,
        pauses={scope: end for scope, end in ends.items() if scope not in already},
        opt_ins=[topic for topic in differing if not rendered[topic]],
        resumes=[*_resumed(chosen, current)],
        paused_already=already,
    )


@dataclass(frozen=True, slots=True)
class FrequencyChanges:
    """Topic -> the frequency that a form chooses, less often or more often than now.

    What is in force already, though the form was shown before it, was chosen by sending it before.
    """

    lowered: Mapping[str, str] = field(default_factory=dict)
    raised: Mapping[str, str] = field(default_factory=dict)
    lowered_already: Mapping[str, str] = field(default_factory=dict)
    raised_already: Mapping[str, str] = field(default_factory=dict)


def diff_frequencies(
    rendered: Mapping[str, str],
    submitted: SubmittedPreferences,
    current: Preferences,
    catalogue: Catalogue,
) -> FrequencyChanges:
    """The frequencies that differ from the rendered ones.

    Of topics that the form leaves on; what the topic does not offer is left out.
    """
    found: dict[tuple[bool, bool], dict[str, str]] = {}
    for key, shown in rendered.items():
        choice, topic = submitted.frequencies.get(key, shown), catalogue.topics.get(key)
        status = current.topics.get(key)
        if topic is None or status is None or key not in submitted.topics:
            continue
        if choice == shown or choice not in topic.frequencies:
            continue
        already = choice == status.frequency
        reduces = is_less_often(topic, choice, shown if already else status.frequency or "")
        found.setdefault((already, reduces), {})[key] = choice
    return FrequencyChanges(
        lowered=found.get((False, True), {}),
        raised=found.get((False, False), {}),
        lowered_already=found.get((True, True), {}),
        raised_already=found.get((True, False), {}),
    )


def kept_pauses(
    opt_ins: Iterable[str], resumes: Collection[str], current: Preferences
) -> dict[str, datetime]:
    """The pauses that hold for what is turned on under them, by scope, with their ends.

    An opt-in ends older pauses for its topic (I5), so these are recorded again after it: a person
    who turns a topic on again while it or everything is paused did not ask for messages today.
    Not the pause of all marketing where the same form ends it, nor what was kept of it.
    """
    ends_all = ALL_MARKETING in resumes
    ends = {scope: current.kept_pause_end(scope, ends_all=ends_all) for scope in opt_ins}
    return {scope: end for scope, end in ends.items() if end}


def _resumed(chosen: Mapping[str, str], current: Preferences) -> Iterator[str]:
    """The scopes whose pause ends now.

    The end of a pause of all marketing ends what was kept of it for single topics: the pauses
    with the same end.
    """
    wide_end = _own_pause_end(current, ALL_MARKETING)
    ends_wide = wide_end is not None and chosen.get(ALL_MARKETING) == RESUME_CHOICE
    for scope, choice in chosen.items():
        own_end = _own_pause_end(current, scope)
        if own_end and (choice == RESUME_CHOICE or (ends_wide and own_end == wide_end)):
            yield scope


def _chosen_ends(chosen: Mapping[str, str], now: datetime) -> Iterator[tuple[str, datetime]]:
    for scope, choice in chosen.items():
        days = next((days for days in PAUSE_DAYS if str(days) == choice), None)
        if days is not None:
            yield scope, now + timedelta(days=days)


def _running_as_chosen(
    ends: Mapping[str, datetime], current: Preferences
) -> Iterator[tuple[str, datetime]]:
    for scope, end in ends.items():
        current_end = _own_pause_end(current, scope)
        if current_end and abs(current_end - end) <= REPEAT_INTERVAL:
            yield scope, current_end


def _own_pause_end(current: Preferences, scope: str) -> datetime | None:
    status = current.for_scope(scope)
    return status.own_pause_until if status else None


class SaveProblem(StrEnum):
    """Why something that was asked for was not turned on, or nothing done at all."""

    INVALID_FORM = "invalid_form"
    MISSING_COOKIE = "missing_cookie"
    MAIL_LIMIT_REACHED = "mail_limit_reached"
    MAIL_UNAVAILABLE = "mail_unavailable"
    RESTRICTED = "restricted"
    TOO_LATE_TO_UNDO = "too_late_to_undo"


@dataclass(frozen=True, slots=True)
class SaveResult:
    """The outcome of a Save, by scope. `rendered_at` is when the form was made."""

    rendered_at: datetime
    turned_off: Sequence[str] = ()
    paused: Mapping[str, datetime] = field(default_factory=dict)
    """Scope -> end, of new pauses."""
    turned_on: Sequence[str] = ()
    kept: Sequence[str] = ()
    """What was agreed to again, and so does not end with a coming privacy policy."""
    resumed: Sequence[str] = ()
    frequencies: Mapping[str, str] = field(default_factory=dict)
    """Topic -> how often it is sent from now on."""
    lowered: Sequence[str] = ()
    """The topics among them that are sent less often than before: an undo takes these back."""
    to_confirm: Sequence[str] = ()
    """What an email asks to confirm."""
    frequencies_to_confirm: Mapping[str, str] = field(default_factory=dict)
    """The same of topics that are to be sent more often."""
    unsaved: Sequence[str] = ()
    """What could not be turned on and stays ticked, to save again."""
    undone: Sequence[str] = ()
    """What was turned off or paused and taken back."""
    problem: SaveProblem | None = None
    names_left_out: bool = False
    """Whether more was changed than could be listed."""

    @property
    def has_stopped(self) -> bool:
        """Whether something was turned off or paused."""
        return bool(self.turned_off or self.paused)

    @property
    def has_changed(self) -> bool:
        """Whether anything is different from before."""
        turned_on = self.turned_on or self.kept or self.resumed
        return bool(self.has_stopped or turned_on or self.frequencies or self.undone)


@dataclass(frozen=True, slots=True)
class ShownResult:
    """A result as far as it is true now; for a page that may be reloaded much later."""

    saved: SaveResult
    still_paused: Mapping[str, datetime]
    """What was turned on or resumed and is paused, with the end."""
    turned_off_since: Sequence[str]
    """What was turned on, and off by something newer than the form."""
    left_off: Sequence[str]
    """What was turned on and is off for another reason, e.g. it is not sent any more."""
    is_outdated: bool
    """Whether something of it was changed since."""


def show_result(result: SaveResult, current: Preferences) -> ShownResult:
    """What to say of `result`, given what is recorded now: no reason is named that is not so."""
    still_off = [scope for scope in result.turned_off if not current.is_on(scope)]
    ends = {scope: _pause_end(current, scope) for scope in result.paused}
    paused = {scope: end for scope, end in ends.items() if end == result.paused[scope]}
    on = [scope for scope in result.turned_on if current.is_on(scope)]
    off = [scope for scope in result.turned_on if not current.is_on(scope)]
    resumed = [scope for scope in result.resumed if current.is_on(scope)]
    newer = [scope for scope in off if was_turned_off_after(current, scope, result.rendered_at)]
    kept = {scope: _pause_end(current, scope) for scope in (*on, *resumed)}
    waiting = [
        scope
        for scope in result.to_confirm
        if not current.is_on(scope) or _pause_end(current, scope) or _ends(current, scope)
    ]
    in_force = _in_force(result.frequencies, current)
    true = replace(
        result,
        turned_off=still_off,
        paused=paused,
        turned_on=on,
        kept=[s for s in result.kept if current.is_on(s) and not _ends(current, s)],
        resumed=resumed,
        frequencies=in_force,
        lowered=[topic for topic in result.lowered if topic in in_force],
        to_confirm=waiting,
        frequencies_to_confirm={
            topic: key
            for topic, key in result.frequencies_to_confirm.items()
            if topic not in _in_force(result.frequencies_to_confirm, current)
        },
        unsaved=[scope for scope in result.unsaved if not current.is_on(scope)],
        undone=[scope for scope in result.undone if current.is_on(scope)],
    )
    return ShownResult(
        true,
        still_paused={scope: end for scope, end in kept.items() if end},
        turned_off_since=newer,
        left_off=[scope for scope in off if scope not in newer],
        is_outdated=result.has_changed and not true.has_changed and not off,
    )


def was_turned_off_after(current: Preferences, scope: str, at: datetime) -> bool:
    """Whether what keeps `scope` off now was recorded after `at`."""
    status = current.for_scope(scope)
    return bool(status and status.since and status.since > at)


def _in_force(frequencies: Mapping[str, str], current: Preferences) -> dict[str, str]:
    return {
        topic: key
        for topic, key in frequencies.items()
        if (status := current.for_scope(topic)) and status.frequency == key
    }


def _ends(current: Preferences, scope: str) -> bool:
    status = current.for_scope(scope)
    return status is not None and status.ends_by is not None


def _pause_end(current: Preferences, scope: str) -> datetime | None:
    status = current.for_scope(scope)
    return status.paused_until if status else None


_WIDE = frozenset({ALL_MARKETING, EVERYTHING})


_UNDONE_BY_OTHERS = frozenset({IMPORT, MOVE})
"""Sources whose events end when an import, or the correction of an address, is undone."""


@dataclass(frozen=True, slots=True)
class UndoableOptOut:
    """The events that an undo retracts, and when the first of them was received (UTC)."""

    events: tuple[UUID, ...]
    pressed_at: datetime


@dataclass(frozen=True, slots=True)
class LinkOptOut:
    """The active opt-out that covers a link's scope. `since` is when we received it (UTC)."""

    covers_all: bool
    """Whether it covers all marketing, and not only the link's topic."""
    since: datetime
    undoable: UndoableOptOut | None = None


def find_opt_out(
    scope: str,
    facts: Sequence[ScopeFact],
    events: Sequence[Event],
    retracted: frozenset[UUID],
    is_press: Callable[[Event], bool],
    now: datetime,
) -> LinkOptOut | None:
    """The widest active opt-out of exactly this address that covers `scope` (I9); None if none.

    `facts` and `events` are those of the exact address. `is_press` says which events were made
    with the same link on the unsubscribe page: they can be undone for UNDO_PERIOD.

    A pause and a bounce are none: the person may still opt out. Nor is an opt-out by an import or
    by the correction of an address, which ends if that is undone: somebody who reads that they are
    out already does not opt out themselves (I5).
    """
    covering = _covering_suppressions(scope, facts, now)
    for suppression in covering:
        since = _received_at(suppression, events, retracted)
        if since is None:
            continue
        stays_off = any(each.scope in _WIDE - {suppression.scope} for each in covering)
        undoable = _find_undoable(suppression.scope, events, retracted, is_press, now)
        return LinkOptOut(suppression.scope in _WIDE, since, None if stays_off else undoable)
    return None


def _covering_suppressions(
    scope: str, facts: Sequence[ScopeFact], now: datetime
) -> list[ActiveSuppression]:
    found = [
        each
        for each in active_suppressions(facts, now)
        if each.kind.suppresses and _covers(each, scope)
    ]
    return sorted(found, key=lambda each: (each.scope not in _WIDE, each.since))


def _received_at(
    suppression: ActiveSuppression, events: Sequence[Event], retracted: frozenset[UUID]
) -> datetime | None:
    """When the opt-out was received; None if it is active by what others may undo alone.

    An opt-out by mail, whose address was unknown then, has no event.
    """
    by_id = {each.id: each for each in events}
    event = by_id.get(suppression.event_id)
    if event is None or event.source not in _UNDONE_BY_OTHERS:
        return event.received_at if event else suppression.since
    others = fold([each for each in events if each.source not in _UNDONE_BY_OTHERS], retracted)
    state = others.get((event.address_id, suppression.scope))
    if state is None or state.opt_out is None or not state.is_suppressed:
        return None
    return by_id[state.opt_out.event].received_at


def _covers(suppression: ActiveSuppression, scope: str) -> bool:
    if suppression.scope not in _WIDE:
        return suppression.scope == scope
    if scope == ALL_MARKETING:  # not if a topic was turned on again since
        return not suppression.exempt_topics
    return scope not in suppression.exempt_topics


def _find_undoable(
    scope: str,
    events: Sequence[Event],
    retracted: frozenset[UUID],
    is_press: Callable[[Event], bool],
    now: datetime,
) -> UndoableOptOut | None:
    """The recent presses that turned `scope` off; None if it would be off without them too."""
    recent = [
        each
        for each in events
        if each.kind is EventKind.OPTED_OUT
        and each.id not in retracted
        and now - each.received_at <= UNDO_PERIOD
        and is_press(each)
    ]
    pressed = [each for each in recent if each.scope == scope]
    if not pressed:
        return None
    ids = tuple(each.id for each in pressed)
    without = fold(events, retracted.union(ids))
    if any(state.is_suppressed for (_, each), state in without.items() if each == scope):
        return None
    return UndoableOptOut(ids, min(each.received_at for each in pressed))
