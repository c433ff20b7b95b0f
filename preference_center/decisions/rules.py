"""These rules decide from loaded facts whether a message may go to an address, and how often.

Facts come from every stored form of the candidate's mailbox (I9): an opt-out counts from
any of them, the person's own newer opt-in and every consent only from the exact form. Only the
closing of an account reaches other forms as an opt-out of all marketing and no further: they
may be another contact's, who still gets service mail (I4).

Where the catalogue offers a choice of how often a topic is sent, the person's own choice counts of
exactly the address. Where there is none, the newest one of another form of the mailbox does if it
means less often than the topic's default: match wide to reduce, never to increase (I9).

Pages show the state of a topic for an address (`topic_status`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from preference_center.catalogue import (
    ConsentCutoff,
    MessageClass,
    MessageType,
    Topic,
    TopicDefault,
)
from preference_center.core.errors import InvalidInput
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    KEPT_BY_OPT_OUTS,
    NOT_MARKETING,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    DatedFrequency,
    EventKind,
    FrequencyChoice,
    ScopeFact,
    Timestamped,
)


class DecisionRule(StrEnum):
    """The rule that decided."""

    CLOSED = "closed"
    """The account is deactivated or erased (I4)."""
    AFTER_CLOSING = "after_closing"
    """Service mail that may go out even after the account was closed (I4)."""
    SERVICE = "service"
    """Service mail, which no marketing opt-out stops (I4)."""
    RESTRICTED = "restricted"
    """The person limits the use of their data: no marketing until they end that."""
    OPTED_OUT_OF_TOPIC = "opted_out_of_topic"
    OPTED_OUT_OF_ALL_MARKETING = "opted_out_of_all_marketing"
    OPTED_OUT_OF_SHARING = "opted_out_of_sharing"
    """Of sale and sharing: no rule about messages, but about what is done with the data."""
    COMPLAINED = "complained"
    BOUNCED = "bounced"
    PAUSED = "paused"
    NO_CONSENT = "no_consent"
    """The topic is opt-in, and there is no evidence that the person asked for it (I11)."""
    RETIRED_TOPIC = "retired_topic"
    CONSENTED = "consented"
    NOT_OPTED_OUT = "not_opted_out"
    UNPARSEABLE_ADDRESS = "unparseable_address"
    UNREADABLE_LINE = "unreadable_line"
    """In a streamed list, a line that holds no recipient to decide about (I11)."""
    UNKNOWN_MESSAGE_TYPE = "unknown_message_type"
    WRONG_CHANNEL = "wrong_channel"
    """The topic belongs to another channel than the address."""


RULE_REASONS: Mapping[DecisionRule, str] = {
    DecisionRule.CLOSED: "the account is closed",
    DecisionRule.RESTRICTED: "the person limits the use of their data",
    DecisionRule.OPTED_OUT_OF_TOPIC: "opted out of this topic",
    DecisionRule.OPTED_OUT_OF_ALL_MARKETING: "opted out of all marketing",
    DecisionRule.COMPLAINED: "reported our mail as spam",
    DecisionRule.BOUNCED: "mail to this address bounces",
    DecisionRule.PAUSED: "asked for a pause",
    DecisionRule.NO_CONSENT: "no consent that counts",
    DecisionRule.RETIRED_TOPIC: "the topic is no longer sent",
    DecisionRule.UNPARSEABLE_ADDRESS: "not a valid address",
}
"""Why a rule removes a row of a list, in words without a delimiter; pages have their own words."""


def effective_frequency(topic: Topic, facts: Sequence[ScopeFact]) -> str | None:
    """How often to send the topic: one of its frequencies; None if it offers none."""
    if not topic.frequencies:
        return None
    return wanted_frequency(topic, facts) or topic.default_frequency


def wanted_frequency(topic: Topic, facts: Sequence[ScopeFact]) -> str | None:
    """The same where a choice decides it; None where nobody chose.

    A choice that the catalogue has no more is the default.
    """
    own = _newest_choice(topic, (fact for fact in facts if fact.exact))
    if own:
        return own.key if own.key in topic.frequencies else topic.default_frequency or None
    other = _newest_choice(topic, facts)
    if other and is_less_often(topic, other.key, topic.default_frequency):
        return other.key
    return None


def is_less_often(topic: Topic, key: str, other: str) -> bool:
    """Whether `key` is less often than `other`; false for keys that the topic does not have."""
    order = list(topic.frequencies)
    return key in order and other in order and order.index(key) > order.index(other)


def frequency_choice(topic: Topic, key: str) -> FrequencyChoice:
    """The choice of this key. Raises InvalidInput for a topic that does not offer it."""
    order = list(topic.frequencies)
    if key not in order:
        offered = f"choose one of {', '.join(order)}" if order else "it offers no choice"
        raise InvalidInput(f"the topic {topic.key} has no such frequency: {offered}")
    return FrequencyChoice(key, order.index(key))


def _newest_choice(topic: Topic, facts: Iterable[ScopeFact]) -> DatedFrequency | None:
    return max(
        (
            fact.state.frequency
            for fact in facts
            if fact.scope == topic.key and fact.state.frequency
        ),
        default=None,
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow or deny, with the rule and the event that decided."""

    allow: bool
    rule: DecisionRule
    scope: str | None = None
    event: UUID | None = None
    since: datetime | None = None
    advisory: str | None = None
    """Additional information that does not decide, e.g. `bounced`."""
    frequency: str | None = None
    """How often the topic may be sent, if it is allowed and offers a choice."""


@dataclass(frozen=True, slots=True)
class Denial(Decision):
    """A denial of a scope by what is recorded: it has an event, and may have an end."""

    scope: str
    event: UUID
    since: datetime
    until: datetime | None = None
    """When it ends by itself (UTC); None if it doesn't. Only pauses do, and suppressions by counted
    bounces (docs/decisions/0025)."""


ALLOW_BY_DEFAULT = Decision(allow=True, rule=DecisionRule.NOT_OPTED_OUT)


NO_CONSENT = Decision(allow=False, rule=DecisionRule.NO_CONSENT)


POLICY_CHANGED = "policy_changed"
"""The advisory on a missing consent where the person gave one that counts no more."""


CONSENT_OUTDATED = Decision(allow=False, rule=DecisionRule.NO_CONSENT, advisory=POLICY_CHANGED)
"""There is a consent, but from before a version of the privacy policy that asks again."""


ALLOW_SERVICE = Decision(allow=True, rule=DecisionRule.SERVICE)


UNPARSEABLE_ADDRESS = Decision(allow=False, rule=DecisionRule.UNPARSEABLE_ADDRESS)


def decide(
    message_type: MessageType, topic: Topic | None, facts: Sequence[ScopeFact], now: datetime
) -> Decision:
    """The decision for one address; `topic` is the marketing message's own topic."""
    if message_type.message_class is MessageClass.SERVICE:
        return _decide_service(message_type, facts, now)
    if topic is None:
        return Decision(allow=False, rule=DecisionRule.UNKNOWN_MESSAGE_TYPE)
    if topic.retired:
        return Decision(allow=False, rule=DecisionRule.RETIRED_TOPIC, scope=topic.key)
    decision = _decide_marketing(topic, facts, now)
    if decision.allow and topic.frequencies:
        return replace(decision, frequency=effective_frequency(topic, facts))
    return decision


def _decide_marketing(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> Decision:
    opt_in = topic.default is TopicDefault.OPT_IN
    if not facts:
        return NO_CONSENT if opt_in else ALLOW_BY_DEFAULT
    denial = find_denial(topic.key, facts, now)
    if denial:
        return denial
    consent = _active_consent(topic.key, facts)
    if consent and outdated_since(consent, topic, now):
        return CONSENT_OUTDATED if opt_in else ALLOW_BY_DEFAULT
    if consent:
        return Decision(
            allow=True,
            rule=DecisionRule.CONSENTED,
            scope=topic.key,
            event=consent.event,
            since=consent.at,
        )
    return NO_CONSENT if opt_in else ALLOW_BY_DEFAULT


def _decide_service(
    message_type: MessageType, facts: Sequence[ScopeFact], now: datetime
) -> Decision:
    bounced = _active_bounce_denial(facts, _newest(_own_opt_ins(facts)), now)
    advisory = DecisionRule.BOUNCED if bounced else None
    closed = _newest_opt_out(facts, EVERYTHING)
    if closed and _is_active(closed.state.opt_out, _own_lift(facts, EVERYTHING)):
        closing = _deny(DecisionRule.CLOSED, closed)
        if not message_type.after_closing:
            return closing
        return Decision(
            allow=True,
            rule=DecisionRule.AFTER_CLOSING,
            scope=closing.scope,
            event=closing.event,
            since=closing.since,
            advisory=advisory,
        )
    return replace(ALLOW_SERVICE, advisory=advisory) if advisory else ALLOW_SERVICE


def find_denial(topic: str, facts: Sequence[ScopeFact], now: datetime) -> Denial | None:
    """The denial that applies to marketing of this topic, widest first, or None.

    A lift of the topic overrides older wider opt-outs for that topic; a wider lift
    never lifts the topic's own opt-out (I5).
    """
    closed = _newest_opt_out(facts, EVERYTHING)
    if closed and _is_active(closed.state.opt_out, _own_lift(facts, EVERYTHING)):
        return _deny(DecisionRule.CLOSED, closed)
    restricted = _active_restriction(facts)
    if restricted:
        return _deny(DecisionRule.RESTRICTED, restricted)
    topic_lift = _own_lift(facts, topic)
    wide_lift = _newest([topic_lift, _own_lift(facts, ALL_MARKETING)])
    for scope, lift in ((ALL_MARKETING, wide_lift), (topic, topic_lift)):
        out = _newest_opt_out(facts, scope)
        if out and _is_active(out.state.opt_out, lift):
            return _deny(_opt_out_rule(out), out)
    bounced = _active_bounce_denial(facts, wide_lift, now)
    if bounced:
        return bounced
    pauses = _active_pauses(topic, facts, now)
    return _deny_temporarily(DecisionRule.PAUSED, pauses) if pauses else None


def find_sharing_denial(facts: Sequence[ScopeFact], now: datetime) -> Denial | None:
    """Why this person's data may not be sold or shared for advertising, or None.

    By the opt-out of it, by a closed account or a restriction, and by one of all marketing: who
    objects to direct marketing objects to audiences made of their address, too (GDPR art. 21(2)).
    An opt-in to sharing overrides an older one of all marketing, as a topic's does (I5). What says
    nothing of the person's will, or ends by itself, is left out: bounces and pauses.
    """
    denial = find_denial(SHARING, [fact for fact in facts if fact.scope != UNDELIVERABLE], now)
    return None if denial is None or denial.rule is DecisionRule.PAUSED else denial


def find_scope_denial(scope: str, facts: Sequence[ScopeFact], now: datetime) -> Denial | None:
    """The denial of a topic, of ALL_MARKETING or of SHARING, or None."""
    return find_sharing_denial(facts, now) if scope == SHARING else find_denial(scope, facts, now)


def is_opted_out(topic: str, facts: Sequence[ScopeFact], now: datetime) -> bool:
    """Whether marketing of this topic is denied by something that only the person can end.

    A pause ends by itself, and a bounce is no act of the person. A restriction is no opt-out
    either: one more would stay when it ends.
    """
    denial = find_denial(topic, [fact for fact in facts if fact.scope != RESTRICTION], now)
    return denial is not None and denial.rule not in {DecisionRule.PAUSED, DecisionRule.BOUNCED}


def active_pause_end(topic: str, facts: Sequence[ScopeFact], now: datetime) -> datetime | None:
    """When the last pause that covers this topic ends, or None if none runs."""
    return _last_end(_active_pauses(topic, facts, now))


def is_marketing_suppressed(facts: Sequence[ScopeFact]) -> bool:
    """Whether an opt-out of all marketing, a restriction or a closed account is active."""
    return _active_restriction(facts) is not None or is_opted_out_of_all_marketing(facts)


def is_opted_out_of_all_marketing(facts: Sequence[ScopeFact]) -> bool:
    """The same without regard to a restriction, which ends and leaves no opt-out."""
    for scope in (ALL_MARKETING, EVERYTHING):
        out = _newest_opt_out(facts, scope)
        if out and _is_active(out.state.opt_out, _own_lift(facts, scope)):
            return True
    return False


def is_redundant_opt_out(scope: str, facts: Sequence[ScopeFact]) -> bool:
    """Whether one more opt-out of this wide scope would change no decision about exactly this form.

    One is active, and nothing that it covers was opted in to since: a topic's own opt-in
    overrides a wider opt-out for that topic (I5).
    """
    exact = [fact for fact in facts if fact.exact]
    out = _newest_opt_out(exact, scope)
    return out is not None and _is_active(out.state.opt_out, newest_opt_in(scope, exact))


def has_consent(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> bool:
    """Whether the consent that the topic needs is there, if it needs one."""
    return missing_consent(topic, facts, now) is None


def missing_consent(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> Decision | None:
    """The denial for want of the consent that the topic needs; None if it has or needs none."""
    if topic.default is TopicDefault.OPT_OUT:
        return None
    consent = _active_consent(topic.key, facts)
    if consent is None:
        return NO_CONSENT
    return CONSENT_OUTDATED if outdated_since(consent, topic, now) else None


def outdated_since(consent: Timestamped, topic: Topic, now: datetime) -> datetime | None:
    """When the privacy policy asked again, after this consent; None if the consent counts."""
    cutoff = topic.consents_count_from(now)
    return cutoff if cutoff and consent.at < cutoff else None


def next_cutoff(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> ConsentCutoff | None:
    """The coming version of the privacy policy that ends the consent by which this topic is sent.

    None where nothing ends: it needs no consent, has none that counts, or has one to that version.
    """
    if topic.default is TopicDefault.OPT_OUT or missing_consent(topic, facts, now):
        return None
    consent = _active_consent(topic.key, facts)
    assert consent
    coming = (each for each in topic.consent_cutoffs if each.at > now)
    return next((each for each in coming if consent.at < each.asked_at), None)


def newest_opt_in(
    scope: str,
    facts: Sequence[ScopeFact],
    *,
    any_form: bool = False,
    until: datetime | None = None,
) -> Timestamped | None:
    """The newest own opt-in of exactly this form that an opt-out of `scope` would end.

    `any_form`: of every form of the mailbox, since it would end them all (I9). `until`: leaves out
    scopes that were opted in to later than that (UTC).
    """
    lifts = [
        fact.state.lift
        for fact in facts
        if (fact.exact or any_form) and _ends_lift(scope, fact.scope)
    ]
    return _newest([lift for lift in lifts if lift and (until is None or lift.at <= until)])


def _ends_lift(scope: str, lifted: str) -> bool:
    """Whether a newer opt-out of `scope` outranks a lift of `lifted`."""
    if scope == ALL_MARKETING:
        return lifted not in KEPT_BY_OPT_OUTS
    if scope == UNDELIVERABLE:
        return lifted not in NOT_MARKETING
    return lifted == scope or (lifted == ALL_MARKETING and scope != SHARING)


def _deny(rule: DecisionRule, fact: ScopeFact) -> Denial:
    """The denial by the opt-out of this fact, which no pause of another fact ends."""
    out = fact.state.opt_out
    assert out is not None
    return Denial(
        allow=False, rule=rule, scope=_effective_scope(fact), event=out.event, since=out.at
    )


def _deny_temporarily(rule: DecisionRule, pauses: Sequence[ScopeFact]) -> Denial:
    """The denial by the first of these pauses, until the last of them ends."""
    scope, pause = pauses[0].scope, pauses[0].state.pause
    assert pause is not None
    until = _last_end(pauses)
    return Denial(
        allow=False, rule=rule, scope=scope, event=pause.event, since=pause.at, until=until
    )


def _last_end(pauses: Sequence[ScopeFact]) -> datetime | None:
    ends = (pause.state.pause_until for pause in pauses)
    return max((end for end in ends if end), default=None)


def _opt_out_rule(fact: ScopeFact) -> DecisionRule:
    match fact.state.reason:
        case EventKind.COMPLAINED:
            return DecisionRule.COMPLAINED
        # An account closed under another form of the mailbox counts as an opt-out here (I9).
        case EventKind.OPTED_OUT | EventKind.DEACTIVATED | EventKind.ERASED | EventKind.MOVED:
            pass
        # A bounce and a restriction have scopes of their own; the others are no opt-outs.
        case (
            EventKind.BOUNCED
            | EventKind.RESTRICTED
            | EventKind.UNRESTRICTED
            | EventKind.PAUSED
            | EventKind.FREQUENCY_CHOSEN
            | EventKind.OPTED_IN
            | EventKind.CONSENTED
            | EventKind.REOPENED
            | EventKind.RETRACTED
            | None
        ):
            pass
        case _:
            assert_never(fact.state.reason)
    if _effective_scope(fact) == ALL_MARKETING:
        return DecisionRule.OPTED_OUT_OF_ALL_MARKETING
    if fact.scope == SHARING:
        return DecisionRule.OPTED_OUT_OF_SHARING
    return DecisionRule.OPTED_OUT_OF_TOPIC


def _newest_opt_out(facts: Sequence[ScopeFact], scope: str) -> ScopeFact | None:
    found: ScopeFact | None = None
    newest: Timestamped | None = None
    for fact in facts:
        out = fact.state.opt_out
        if out and _effective_scope(fact) == scope and (newest is None or out > newest):
            found, newest = fact, out
    return found


def _effective_scope(fact: ScopeFact) -> str:
    """The scope that an opt-out of this fact has for the candidate (I4, I9)."""
    if fact.scope == EVERYTHING and not fact.exact:
        return ALL_MARKETING
    return fact.scope


def _own_lift(facts: Sequence[ScopeFact], scope: str) -> Timestamped | None:
    return _newest([fact.state.lift for fact in facts if fact.exact and fact.scope == scope])


def _own_opt_ins(facts: Sequence[ScopeFact]) -> list[Timestamped | None]:
    """The lifts by which this address asked for messages, and so shows that it receives them."""
    others = {SHARING, RESTRICTION, EVERYTHING}
    return [fact.state.lift for fact in facts if fact.exact and fact.scope not in others]


def _newest(timestamps: Sequence[Timestamped | None]) -> Timestamped | None:
    return max((each for each in timestamps if each), default=None)


def _is_active(opt_out: Timestamped | None, lift: Timestamped | None) -> bool:
    """Opt-out wins a tie (I5)."""
    return opt_out is not None and (lift is None or opt_out.at >= lift.at)


def _active_restriction(facts: Sequence[ScopeFact]) -> ScopeFact | None:
    """The restriction of any form of the mailbox that only that form has ended (I9)."""
    found = [f for f in facts if f.scope == RESTRICTION and f.state.is_suppressed]
    return _newest_opt_out(found, RESTRICTION)


def _active_bounce_denial(
    facts: Sequence[ScopeFact], lift: Timestamped | None, now: datetime
) -> Denial | None:
    """The denial by a permanent bounce, else by a temporary suppression, or None."""
    bounced = _newest_opt_out(facts, UNDELIVERABLE)
    if bounced and _is_active(bounced.state.opt_out, lift):
        return _deny(DecisionRule.BOUNCED, bounced)
    pause = _active_pause(facts, UNDELIVERABLE, lift, now)
    return _deny_temporarily(DecisionRule.BOUNCED, [pause]) if pause else None


def _active_pauses(topic: str, facts: Sequence[ScopeFact], now: datetime) -> list[ScopeFact]:
    """The longest pause of all marketing and of this topic, where one runs: the wider one first."""
    topic_lift = _own_lift(facts, topic)
    wide_lift = _newest([topic_lift, _own_lift(facts, ALL_MARKETING)])
    lifts = ((ALL_MARKETING, wide_lift), (topic, topic_lift))
    found = [_active_pause(facts, scope, lift, now) for scope, lift in lifts]
    return [pause for pause in found if pause]


def _active_pause(
    facts: Sequence[ScopeFact], scope: str, lift: Timestamped | None, now: datetime
) -> ScopeFact | None:
    """The pause of this scope that runs longest, on any form, unless a lift is newer.

    Each form has its newest pause; a shorter one of another form must not end it (I9).
    """
    found, end = None, now
    for fact in facts:
        until = fact.state.pause_until
        if fact.scope == scope and until and until > end and _is_active(fact.state.pause, lift):
            found, end = fact, until
    return found


def _active_consent(topic: str, facts: Sequence[ScopeFact]) -> Timestamped | None:
    """The consent for this topic, unless an opt-out of any scope came after it.

    A wide opt-in after a wide opt-out does not restore it: consent is given per topic.
    """
    consent = _newest([f.state.consent for f in facts if f.exact and f.scope == topic])
    return None if consent is None or withdrawal_of(topic, consent, facts) else consent


def withdrawal_of(
    topic: str, consent: Timestamped, facts: Sequence[ScopeFact]
) -> Timestamped | None:
    """The opt-out that ended a consent to `topic`; None if there is none."""
    for scope in (topic, ALL_MARKETING, EVERYTHING):
        out = _newest_opt_out(facts, scope)
        if out and _is_active(out.state.opt_out, consent):
            return out.state.opt_out
    return None


@dataclass(frozen=True, slots=True)
class TopicStatus:
    """The state of one topic for one address."""

    subscribed: bool
    suppressed: bool
    has_consent: bool
    """Whether the consent that the topic needs is there, if it needs one."""
    paused_until: datetime | None
    denial: Decision | None


def topic_status(topic: Topic, facts: Sequence[ScopeFact], now: datetime) -> TopicStatus:
    """The state of `topic`: subscribed unless it is denied or lacks a needed consent."""
    denial = find_denial(topic.key, facts, now)
    paused = denial is not None and denial.rule is DecisionRule.PAUSED
    consented = has_consent(topic, facts, now)
    return TopicStatus(
        subscribed=denial is None and consented,
        suppressed=denial is not None and not paused,
        has_consent=consented,
        paused_until=denial.until if denial and paused else None,
        denial=denial,
    )
