"""What senders may send to a person, as tests of rights ask it."""

from __future__ import annotations

from preference_center.catalogue import MessageClass, MessageType, Topic, TopicDefault
from preference_center.core.addresses import Address, Channel
from preference_center.decisions.rules import Decision, decide
from preference_center.infra.context import services
from preference_center.ledger.store.lookup import load_facts
from tests.core.histories import NEWS

INVOICE = MessageType("invoice", MessageClass.SERVICE)
WEEKLY = MessageType("weekly", MessageClass.MARKETING, NEWS)
_TOPIC = Topic(NEWS, "acme", Channel.EMAIL, TopicDefault.OPT_OUT, "news", {}, {})


def ask(message: MessageType, who: Address) -> Decision:
    topic = _TOPIC if message is WEEKLY else None
    return decide(message, topic, load_facts([who])[0], services().now())
