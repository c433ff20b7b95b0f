"""What a submitted preference form changes, against what was rendered and what is recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from preference_center.catalogue import Catalogue
from preference_center.contacts.rules.preferences import Preferences
from preference_center.core.deadlines import PAUSE_DAYS
from preference_center.core.events import ALL_MARKETING, REPEAT_INTERVAL
from preference_center.decisions.rules import is_less_often

RESUME_CHOICE = "resume"
"""The form's value, instead of days, to end a pause."""


@dataclass(frozen=True, slots=True)
class SubmittedPreferences:
    """The submitted form: ticked topics, and the choices of pauses and frequencies by scope."""

    topics: Collection[str]
    pauses: Mapping[str, str] = field(default_factory=dict)
    frequencies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScopeChanges:
    """The scopes that a submitted form changes; `pauses`: scope -> end."""

    opt_outs: Sequence[str]
    pauses: Mapping[str, datetime]
    opt_ins: Sequence[str]
    resumes: Sequence[str]


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
    the topics, it could contradict them (docs/decisions/0070).
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
    return ScopeChanges(
        opt_outs=opt_outs,
        pauses=dict(_new_pauses(chosen, current, now)),
        opt_ins=[topic for topic in differing if not rendered[topic]],
        resumes=[*_resumed(chosen, current)],
    )


@dataclass(frozen=True, slots=True)
class FrequencyChanges:
    """Topic -> the frequency that a form chooses, less often or more often than now."""

    lowered: Mapping[str, str] = field(default_factory=dict)
    raised: Mapping[str, str] = field(default_factory=dict)


def diff_frequencies(
    rendered: Mapping[str, str],
    submitted: SubmittedPreferences,
    current: Preferences,
    catalogue: Catalogue,
) -> FrequencyChanges:
    """The frequencies that differ from the rendered ones and from those in force.

    Of topics that the form leaves on; what the topic does not offer is left out.
    """
    lowered: dict[str, str] = {}
    raised: dict[str, str] = {}
    for key, shown in rendered.items():
        choice, topic = submitted.frequencies.get(key, shown), catalogue.topics.get(key)
        status = current.topics.get(key)
        if topic is None or status is None or key not in submitted.topics:
            continue
        if choice in {shown, status.frequency} or choice not in topic.frequencies:
            continue
        reduces = is_less_often(topic, choice, status.frequency or "")
        (lowered if reduces else raised)[key] = choice
    return FrequencyChanges(lowered, raised)


def kept_pauses(opt_ins: Iterable[str], current: Preferences) -> dict[str, datetime]:
    """The pauses that hold for what is turned on under them, by scope, with their ends.

    An opt-in ends older pauses for its topic (I5), so these are recorded again after it: a person
    who turns a topic on again while it or everything is paused did not ask for messages today.
    """
    running = ((scope, current.for_scope(scope)) for scope in opt_ins)
    return {
        scope: status.paused_until for scope, status in running if status and status.paused_until
    }


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


def _new_pauses(
    chosen: Mapping[str, str], current: Preferences, now: datetime
) -> Iterator[tuple[str, datetime]]:
    for scope, choice in chosen.items():
        days = next((days for days in PAUSE_DAYS if str(days) == choice), None)
        if days is None:
            continue
        end = now + timedelta(days=days)
        current_end = _own_pause_end(current, scope)
        if current_end is None or abs(current_end - end) > REPEAT_INTERVAL:
            yield scope, end


def _own_pause_end(current: Preferences, scope: str) -> datetime | None:
    status = current.for_scope(scope)
    return status.own_pause_until if status else None
