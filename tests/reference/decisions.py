"""Allow or deny, out of the model. The rules' names are those of docs/api.md.

Where several suppressions deny, the documents name no order among them: `Answer` has all that
could be named, each with its event, and the service has to name one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tests.reference.events import (
    EVERYTHING,
    RESTRICTION,
    UNDELIVERABLE,
    Event,
    Form,
    Kind,
)
from tests.reference.model import Model, Suppression


@dataclass(frozen=True)
class Topic:
    """A topic of the catalogue."""

    key: str
    opt_in: bool = False
    retired: bool = False


@dataclass(frozen=True)
class MessageType:
    """Marketing has a topic; service mail has none."""

    topic: Topic | None = None
    after_closing: bool = False


@dataclass(frozen=True)
class Answer:
    """`reasons`: pairs of a rule and the id of an event, or "" where no event decides.

    `paused_until`: the end of the last pause that stops this topic, whatever else does.
    """

    allow: bool
    reasons: frozenset[tuple[str, str]]
    advisory: bool = False
    paused_until: datetime | None = None


def decide(model: Model, form: Form | None, asked: MessageType | None, now: datetime) -> Answer:
    """The answer for one form and message type; `form` None could not be read."""
    if asked is None:  # I11
        return _plain("unknown_message_type", allow=False)
    if form is None:  # I11
        return _plain("unparseable_address", allow=False)
    if asked.topic is None:
        return _decide_service(model, form, asked, now)
    if asked.topic.retired:
        return _plain("retired_topic", allow=False)
    return _decide_marketing(model, form, asked.topic, now)


def _decide_service(model: Model, form: Form, asked: MessageType, now: datetime) -> Answer:
    """I4: only the closed account of exactly this address denies service mail."""
    closed = [s for s in model.suppressions_of(form, now) if s.scope == EVERYTHING]
    bounced = model.bounces(form, now)
    if not closed:
        return Answer(True, frozenset({("service", "")}), bounced)
    events = {event.id for s in closed for event in s.events}
    if asked.after_closing:
        return Answer(True, frozenset(("after_closing", e) for e in events), bounced)
    return Answer(False, frozenset(("closed", e) for e in events))


def _decide_marketing(model: Model, form: Form, topic: Topic, now: datetime) -> Answer:
    stopping = [s for s in model.stopping(form, now) if model.stops(s, form, topic.key)]
    events = [(s, event) for s in stopping for event in s.events]
    reasons = {(_rule(s, event, topic), event.id) for s, event in events}
    ends = [event.until for _, event in events if event.kind is Kind.PAUSED and event.until]
    consents = model.consents(form, topic.key, now)
    if topic.opt_in and not consents:  # I11: missing consent
        reasons.add(("no_consent", ""))
    if reasons:
        return Answer(False, frozenset(reasons), paused_until=max(ends, default=None))
    if consents:
        return Answer(True, frozenset(("consented", event.id) for event in consents))
    return _plain("not_opted_out", allow=True)


def _rule(suppression: Suppression, event: Event, topic: Topic) -> str:
    if suppression.scope == EVERYTHING:
        return "closed"
    if suppression.scope == RESTRICTION:
        return "restricted"
    if suppression.scope == UNDELIVERABLE:
        return "bounced"
    if event.kind in (Kind.COMPLAINED, Kind.PAUSED):
        return event.kind.value
    if suppression.scope == topic.key:
        return "opted_out_of_topic"
    return "opted_out_of_all_marketing"


def _plain(rule: str, *, allow: bool) -> Answer:
    return Answer(allow, frozenset({(rule, "")}))
