"""Compute what one address receives, and build the changes that a person's choices make.

Our preference page and the portal API show what an address receives, and change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from preference_center.catalogue import Catalogue, ConsentCutoff, Topic
from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidInput
from preference_center.core.events import (
    ALL_MARKETING,
    RESTRICTION,
    SHARING,
    Change,
    EventKind,
    ScopeFact,
)
from preference_center.decisions.rules import (
    POLICY_CHANGED,
    Decision,
    DecisionRule,
    active_pause_end,
    effective_frequency,
    find_denial,
    find_sharing_denial,
    frequency_choice,
    is_less_often,
    missing_consent,
    next_cutoff,
    topic_status,
)
from preference_center.ledger.rules import (
    ConsentEvidence,
    RequestOrigin,
    topic_for_address,
    validate_opt_out_scope,
)

MAX_PAUSE = timedelta(days=366)
"""A longer pause is an opt-out, and should be recorded as one."""


class PreferenceState(StrEnum):
    """The setting of a topic, or of all marketing."""

    ON = "on"
    OFF = "off"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class ScopeStatus:
    """A setting; what is off has the rule that keeps it off, what is not on since when."""

    state: PreferenceState
    rule: DecisionRule | None = None
    since: datetime | None = None
    """When what keeps it off or pauses it counts from; None for a consent that was never given."""
    paused_until: datetime | None = None
    """When the last pause that covers it ends, also while it is off."""
    own_pause_until: datetime | None = None
    """When the pause of exactly this scope ends, without regard to wider ones."""
    frequency: str | None = None
    """How often it is sent while it is on; None where the topic offers no choice."""
    policy_changed: bool = False
    """It was asked for, but before the privacy policy changed: it is off until asked for again."""
    ends_by: ConsentCutoff | None = None
    """The coming version of the privacy policy by which it ends, unless it is asked for again."""
    can_keep: bool = False
    """Whether it can be asked for again already, so that it does not end."""

    @property
    def until(self) -> datetime | None:
        """The end of a pause; None if the state is another."""
        return self.paused_until if self.state is PreferenceState.PAUSED else None


@dataclass(frozen=True, slots=True)
class Preferences:
    """Everything that one address receives, by topic key in the catalogue's order."""

    all_marketing: ScopeStatus
    topics: Mapping[str, ScopeStatus]
    closed: bool
    """The account is deactivated or erased: nothing can be turned on (I4)."""
    restricted: bool
    """The person limits the use of their data: nothing can be turned on until they end that."""
    sharing: ScopeStatus = ScopeStatus(PreferenceState.ON)
    """Whether their data may be sold or shared for advertising, as far as they have said."""

    def for_scope(self, scope: str) -> ScopeStatus | None:
        """The setting of a scope; None for a topic that can't be chosen."""
        wide = {ALL_MARKETING: self.all_marketing, SHARING: self.sharing}
        return wide.get(scope) or self.topics.get(scope)

    def kept_pause_end(self, scope: str, *, ends_all: bool) -> datetime | None:
        """When the pause ends that holds for what is turned on under it; None without one.

        With `ends_all` the same act ends the pause of all marketing, and what was kept of it.
        """
        status = self.for_scope(scope)
        if status is None:
            return None
        if not ends_all:
            return status.paused_until
        is_kept = status.own_pause_until == self.all_marketing.own_pause_until
        return None if is_kept else status.own_pause_until

    def is_on(self, scope: str) -> bool:
        """Whether the person has not turned it off; what is paused is on.

        A bounce turns off each topic, but is no opt-out of all marketing.
        """
        status = self.for_scope(scope)
        if status is None:
            return False
        if scope == ALL_MARKETING and status.rule is DecisionRule.BOUNCED:
            return True
        return status.state is not PreferenceState.OFF


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
    """The settings of `address`; to show them, pass its `shown_facts` (I9)."""
    wide_denial = find_denial(ALL_MARKETING, facts, now)
    own_denial = find_denial(ALL_MARKETING, [fact for fact in facts if fact.exact], now)
    return Preferences(
        all_marketing=_scope_status(ALL_MARKETING, wide_denial, facts, now),
        topics={
            topic.key: _topic_preference(topic, facts, now)
            for topic in catalogue.topics_for_channel(address.channel)
        },
        closed=own_denial is not None and own_denial.rule is DecisionRule.CLOSED,
        restricted=wide_denial is not None and wide_denial.rule is DecisionRule.RESTRICTED,
        sharing=_sharing_status(facts, now),
    )


def _sharing_status(facts: Sequence[ScopeFact], now: datetime) -> ScopeStatus:
    denial = find_sharing_denial(facts, now)
    if denial is None:
        return ScopeStatus(PreferenceState.ON)
    return ScopeStatus(PreferenceState.OFF, rule=denial.rule, since=denial.since)


def shown_facts(facts: Sequence[ScopeFact]) -> list[ScopeFact]:
    """What the person may see of the facts of every form: those of the exact form (I9).

    And that the mailbox is restricted, for as long as that is so no form can opt in.
    """
    return [fact for fact in facts if fact.exact or fact.scope == RESTRICTION]


def build_preference_change(
    id: UUID,  # noqa: A002 - as in `Change`
    submission: PreferenceSubmission,
    scope: str,
    origin: RequestOrigin,
    catalogue: Catalogue,
    current: Preferences,
) -> Change | None:
    """The change that a submission asks for `scope`; None where `current` has it already.

    What is on and ends with a coming version of the privacy policy is asked for again where the
    evidence states that version, so that it does not end.

    An opt-in counts from when the page was rendered, so a stale one lifts no opt-out made
    since; an opt-out and a pause count from the act (I5). Raises UnknownTopic,
    WrongChannel, or InvalidInput for what can't be chosen.
    """
    choice = submission.choices[scope]
    validate_opt_out_scope(submission.address, scope, catalogue)
    _validate_choice(choice, scope, submission, catalogue, current, origin.now)
    acted_at = submission.consent_evidence.occurred_at
    opts_in = choice.state is PreferenceState.ON
    since = min(submission.rendered_at, acted_at) if opts_in else acted_at
    status = current.for_scope(scope)
    if _is_unchanged(status, choice, since) and not _keeps(status, submission, since, catalogue):
        return None
    return Change(
        id=id,
        kind=_EVENT_KINDS[choice.state],
        address=submission.address,
        scope=scope,
        occurred_at=since,
        received_at=origin.now if opts_in else acted_at,
        source=origin.source,
        actor=origin.actor,
        evidence=submission.evidence,
        until=choice.until,
        own_act=choice.state is PreferenceState.OFF,
    )


def build_kept_pause(
    id: UUID,  # noqa: A002 - as in `Change`
    change: Change,
    submission: PreferenceSubmission,
    current: Preferences,
) -> Change | None:
    """The pause to record with the opt-in `change`, so that one that runs holds; None if none.

    An opt-in ends older pauses for its topic (I5); a person who turns a topic on while it or
    everything is paused did not ask for messages today. Where the topic is paused, and not off,
    the opt-in asks to end the pause.
    """
    status, whole = current.for_scope(change.scope), submission.choices.get(ALL_MARKETING)
    ends_all = whole is not None and whole.state is PreferenceState.ON
    until = current.kept_pause_end(change.scope, ends_all=ends_all)
    if change.kind is not EventKind.OPTED_IN or status is None or until is None:
        return None
    if status.state is PreferenceState.PAUSED:
        return None
    acted_at = submission.consent_evidence.occurred_at
    return replace(
        change,
        id=id,
        kind=EventKind.PAUSED,
        occurred_at=acted_at,
        received_at=acted_at,
        until=until,
    )


_EVENT_KINDS = {
    PreferenceState.ON: EventKind.OPTED_IN,
    PreferenceState.OFF: EventKind.OPTED_OUT,
    PreferenceState.PAUSED: EventKind.PAUSED,
}


def _is_unchanged(current: ScopeStatus | None, choice: PreferenceChoice, since: datetime) -> bool:
    """Whether `choice`, made `since`, is in effect already, or would not end a newer pause."""
    if current is None:
        return False
    match choice.state:
        case PreferenceState.OFF:
            return False
        case PreferenceState.PAUSED:
            return current.paused_until == choice.until
        case PreferenceState.ON:
            paused_since = current.since if current.state is PreferenceState.PAUSED else None
            is_stale = paused_since is not None and paused_since >= since
            return current.state is PreferenceState.ON or is_stale
        case _:
            assert_never(choice.state)


def _keeps(
    status: ScopeStatus | None,
    submission: PreferenceSubmission,
    since: datetime,
    catalogue: Catalogue,
) -> bool:
    """Whether a choice made `since` agrees to the coming version by which the topic ends."""
    if status is None or status.ends_by is None or status.state is not PreferenceState.ON:
        return False
    asked = catalogue.policy_asked_for(since)
    shown = submission.consent_evidence.policy
    return since >= status.ends_by.asked_at and asked is not None and shown == asked.reference


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
    if scope == SHARING and choice.state is PreferenceState.PAUSED:
        raise InvalidInput("sale and sharing can't be paused: turn it off, or on")
    if current.closed:
        raise InvalidInput("the account is closed: nothing can be turned on or paused")
    if current.restricted:
        raise InvalidInput(
            "the person limits the use of their data: nothing can be turned on or paused until"
            " they end that"
        )
    is_topic = scope not in {ALL_MARKETING, SHARING}
    if is_topic and topic_for_address(submission.address, scope, catalogue).retired:
        raise InvalidInput(f"the topic {scope} is retired: nobody can ask for it any more")
    if choice.until is not None and not now < choice.until <= now + MAX_PAUSE:
        raise InvalidInput(f"a pause ends within {MAX_PAUSE.days} days from now")


def _topic_preference(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> ScopeStatus:
    status = _scope_status(topic.key, _topic_denial(topic, facts, now), facts, now)
    cutoff = None if status.state is PreferenceState.OFF else next_cutoff(topic, facts, now)
    return replace(
        status,
        frequency=effective_frequency(topic, facts),
        ends_by=cutoff,
        can_keep=cutoff is not None and cutoff.asked_at <= now,
    )


def _topic_denial(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> Decision | None:
    """The denial of a topic; a missing consent outranks a pause, which ends by itself."""
    status = topic_status(topic, facts, now)
    if status.suppressed:
        return status.denial
    return missing_consent(topic, facts, now) or status.denial


def _scope_status(
    scope: str, denial: Decision | None, facts: Sequence[ScopeFact], now: datetime
) -> ScopeStatus:
    state = _state_of(denial)
    own_facts = [fact for fact in facts if fact.scope == scope]
    return ScopeStatus(
        state,
        rule=denial.rule if denial and state is PreferenceState.OFF else None,
        since=denial.since if denial else None,
        paused_until=active_pause_end(scope, facts, now),
        own_pause_until=active_pause_end(scope, own_facts, now),
        policy_changed=denial is not None and denial.advisory == POLICY_CHANGED,
    )


def _state_of(denial: Decision | None) -> PreferenceState:
    if denial is None:
        return PreferenceState.ON
    return PreferenceState.PAUSED if denial.rule is DecisionRule.PAUSED else PreferenceState.OFF


@dataclass(frozen=True, slots=True)
class ChosenFrequencies:
    """What a person chose on a form that was rendered at `rendered_at`; times are UTC."""

    address: Address
    frequencies: Mapping[str, str]
    """Topic -> frequency."""
    rendered_at: datetime
    acted_at: datetime
    evidence: Mapping[str, str]


def build_frequency_change(
    id: UUID,  # noqa: A002 - as in `Change`
    chosen: ChosenFrequencies,
    topic_key: str,
    origin: RequestOrigin,
    catalogue: Catalogue,
    facts: Sequence[ScopeFact],
) -> Change | None:
    """The change for one topic; None where that frequency is in force, by `facts` of every form.

    Less often counts from the act; more often from when the form was rendered, so that a stale
    form does not raise what was lowered since (I5). Raises UnknownTopic, WrongChannel, or
    InvalidInput for what the topic does not offer.
    """
    topic = topic_for_address(chosen.address, topic_key, catalogue)
    key = chosen.frequencies[topic_key]
    frequency = frequency_choice(topic, key)
    current = effective_frequency(topic, facts)
    if current is None or key == current:
        return None
    reduces = is_less_often(topic, key, current)
    return Change(
        id=id,
        kind=EventKind.FREQUENCY_CHOSEN,
        address=chosen.address,
        scope=topic.key,
        occurred_at=chosen.acted_at if reduces else min(chosen.rendered_at, chosen.acted_at),
        received_at=origin.now,
        source=origin.source,
        actor=origin.actor,
        evidence=chosen.evidence,
        frequency=frequency,
    )
