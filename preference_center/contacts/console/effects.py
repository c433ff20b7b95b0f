"""What recording something will do: per topic now and then, and per tool what happens when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask_babel import gettext as _

from preference_center.catalogue import Catalogue, MessageClass, MessageType, Topic
from preference_center.contacts.rules.statements import facts_after
from preference_center.contacts.words import words
from preference_center.contacts.words.tools import tool_titles
from preference_center.core.addresses import Address
from preference_center.core.deadlines import WINDOW
from preference_center.core.events import SHARING, Change, EventKind, ScopeFact
from preference_center.decisions.rules import Decision, decide
from preference_center.destinations.rules.delivery import (
    BLOCKERS,
    Blocker,
    DestinationSummary,
    concerns,
    is_pushed,
)
from preference_center.destinations.store.deliveries import list_tools_of_channel
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection


@dataclass(frozen=True, slots=True)
class TopicEffect:
    """Whether messages of a topic may be sent now, and once it is recorded; why only then."""

    title: str
    is_allowed_now: bool
    is_allowed_then: bool
    why: str


@dataclass(frozen=True, slots=True)
class ToolEffect:
    """What is pushed to a tool, and when."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Effects:
    """What the confirmation shows."""

    topics: Sequence[TopicEffect]
    tools: Sequence[ToolEffect]


def load_effects(
    connection: Connection,
    address: Address,
    catalogue: Catalogue,
    facts: Sequence[ScopeFact],
    changes: Sequence[Change],
) -> Effects:
    """What these changes do to the topics of the address, and in the tools of its channel."""
    now, then = services().now(), facts_after(facts, changes)

    def decide_topic(topic: Topic, known: Sequence[ScopeFact]) -> Decision:
        message_type = MessageType(topic.key, MessageClass.MARKETING, topic.key)
        return decide(message_type, topic, known, now)

    topics = [each for each in catalogue.topics_for_channel(address.channel) if not each.retired]
    keys = {SHARING, *(topic.key for topic in topics)}
    title_of = tool_titles(catalogue)
    return Effects(
        [
            TopicEffect(
                words.scope_title(topic.key, catalogue),
                decide_topic(topic, facts).allow,
                (decision := decide_topic(topic, then)).allow,
                words.rule(decision),
            )
            for topic in topics
            if any(concerns(change.scope, frozenset({topic.key})) for change in changes)
        ],
        [
            ToolEffect(title_of(tool.name), _tool_text(tool, changes, can_lift=can_lift))
            for tool, can_lift in list_tools_of_channel(connection, address.channel, keys)
            if any(concerns(each.scope, tool.topics) and is_pushed(each.kind) for each in changes)
        ],
    )


def _tool_text(tool: DestinationSummary, changes: Sequence[Change], *, can_lift: bool) -> str:
    kind = changes[0].kind
    if kind is EventKind.OPTED_IN and not can_lift:
        return str(_("stays off there: this tool can’t turn it on again"))
    if kind is EventKind.PAUSED and not can_lift:
        return words.blocker(Blocker.PAUSE_UNSUPPORTED)
    blocker = BLOCKERS.get(tool.connection)
    soon = words.blocker(blocker) if blocker else str(_("within seconds, while the tool is up"))
    if not kind.suppresses:
        return soon
    due_at = min(change.received_at for change in changes) + WINDOW
    if due_at <= services().now():
        return str(
            _("%(soon)s; late already, it was due by %(time)s", soon=soon, time=words.time(due_at))
        )
    return str(_("%(soon)s; at the latest by %(time)s", soon=soon, time=words.time(due_at)))
