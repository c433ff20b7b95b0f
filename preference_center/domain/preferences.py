"""What one address receives, as a company's own account page shows and changes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from preference_center.domain.addresses import Address
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.decisions import (
    Decision,
    DecisionRule,
    ScopeFact,
    active_pause_end,
    find_denial,
    topic_status,
)
from preference_center.domain.events import ALL_MARKETING, Change, EventKind
from preference_center.domain.sender_requests import (
    ConsentEvidence,
    RequestOrigin,
    topic_for_address,
    validate_marketing_scope,
)
from preference_center.errors import InvalidInput

MAX_PAUSE = timedelta(days=366)
"""A longer pause is an opt-out, and should be recorded as one."""


class PreferenceState(StrEnum):
    """The setting of a topic, or of all marketing."""

    ON = "on"
    OFF = "off"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class ScopeStatus:
    """A setting; a pause has its end, and what is off the rule that holds it off."""

    state: PreferenceState
    until: datetime | None = None
    rule: DecisionRule | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """Everything that one address receives, by topic key."""

    all_marketing: ScopeStatus
    topics: Mapping[str, ScopeStatus]
    closed: bool
    """The account is deactivated or erased: nothing can be turned on (I4)."""

    def for_scope(self, scope: str) -> ScopeStatus | None:
        """The setting of a scope; None for a topic that can't be chosen."""
        return self.all_marketing if scope == ALL_MARKETING else self.topics.get(scope)


@dataclass(frozen=True, slots=True)
class PreferenceChoice:
    """What a person chose for one scope. `until` ends a pause."""

    state: PreferenceState
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PreferenceSubmission:
    """What a signed-in person changed on a page that was rendered at `rendered_at`.

    Times are UTC and have gone through `clamp_to_now`.
    """

    address: Address
    choices: Mapping[str, PreferenceChoice]
    """By topic key or ALL_MARKETING: only what they changed."""
    rendered_at: datetime
    consent_evidence: ConsentEvidence
    """Its `occurred_at` is when they acted."""
    evidence: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "evidence", self.consent_evidence.to_evidence(self.address))


def compute_preferences(
    catalogue: Catalogue, address: Address, facts: Sequence[ScopeFact], now: datetime
) -> Preferences:
    """The settings of `address`; to show them, pass the facts of its exact form only (I9)."""
    wide_denial = find_denial(ALL_MARKETING, facts, now)
    own_denial = find_denial(ALL_MARKETING, [fact for fact in facts if fact.exact], now)
    topics: dict[str, ScopeStatus] = {}
    for topic in catalogue.topics_for_channel(address.channel):
        status = topic_status(topic, facts, now)
        denial = status.denial or (
            None if status.subscribed else Decision(False, DecisionRule.NO_CONSENT)
        )
        topics[topic.key] = _scope_status(denial, status.paused_until)
    return Preferences(
        all_marketing=_scope_status(wide_denial, active_pause_end(ALL_MARKETING, facts, now)),
        topics=topics,
        closed=own_denial is not None and own_denial.rule is DecisionRule.CLOSED,
    )


def build_preference_change(
    id: UUID,  # noqa: A002 - as in `Change`
    submission: PreferenceSubmission,
    scope: str,
    origin: RequestOrigin,
    catalogue: Catalogue,
    current: Preferences,
) -> Change | None:
    """The change that a submission asks for `scope`; None where `current` has it already.

    An opt-in counts from when the page was rendered, so a stale one lifts no opt-out made
    since; an opt-out and a pause count from the act (I5). Raises UnknownTopic,
    WrongChannel, or InvalidInput for what can't be chosen.
    """
    choice = submission.choices[scope]
    validate_marketing_scope(submission.address, scope, catalogue)
    _validate_choice(choice, scope, submission, catalogue, current, origin.now)
    if choice.state is not PreferenceState.OFF and _is_unchanged(current.for_scope(scope), choice):
        return None
    acted_at = submission.consent_evidence.occurred_at
    opts_in = choice.state is PreferenceState.ON
    return Change(
        id=id,
        kind=_EVENT_KINDS[choice.state],
        address=submission.address,
        scope=scope,
        occurred_at=min(submission.rendered_at, acted_at) if opts_in else acted_at,
        received_at=origin.now if opts_in else acted_at,
        source=origin.source,
        actor=origin.actor,
        evidence=submission.evidence,
        until=choice.until,
        own_act=choice.state is PreferenceState.OFF,
    )


_EVENT_KINDS = {
    PreferenceState.ON: EventKind.OPTED_IN,
    PreferenceState.OFF: EventKind.OPTED_OUT,
    PreferenceState.PAUSED: EventKind.PAUSED,
}


def _is_unchanged(current: ScopeStatus | None, choice: PreferenceChoice) -> bool:
    return current is not None and (current.state, current.until) == (
        choice.state,
        choice.until,
    )


def _validate_choice(
    choice: PreferenceChoice,
    scope: str,
    submission: PreferenceSubmission,
    catalogue: Catalogue,
    current: Preferences,
    now: datetime,
) -> None:
    if choice.state is PreferenceState.OFF:
        return  # an opt-out is always accepted
    if current.closed:
        raise InvalidInput("the account is closed: nothing can be turned on or paused")
    if scope != ALL_MARKETING and topic_for_address(submission.address, scope, catalogue).retired:
        raise InvalidInput(f"the topic {scope} is retired: nobody can ask for it any more")
    if choice.until is not None and not now < choice.until <= now + MAX_PAUSE:
        raise InvalidInput(f"a pause ends within {MAX_PAUSE.days} days from now")


def _scope_status(denial: Decision | None, paused_until: datetime | None) -> ScopeStatus:
    if denial is None:
        return ScopeStatus(PreferenceState.ON)
    if denial.rule is DecisionRule.PAUSED:
        return ScopeStatus(PreferenceState.PAUSED, until=paused_until)
    return ScopeStatus(PreferenceState.OFF, rule=denial.rule)
