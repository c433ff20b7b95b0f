"""These rules name the questions that a webhook leaves open.

Those are of what was acknowledged and can't be interpreted (I3). Staff answer them; until then the
body is stored, and counts as late when its window ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from preference_center.core.addresses import parse_address
from preference_center.core.errors import InvalidAddress
from preference_center.destinations.rules.classify import unmapped_target
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind

UNREADABLE_QUESTION = "unreadable"
"""The question of a body that its vendor's module can't parse."""


INVALID_ADDRESS_QUESTION = "address"
"""The question of an event whose address can't be parsed."""


_MAX_LENGTH = 200


_OPT_OUT_KINDS = frozenset({VendorEventKind.OPTED_OUT, VendorEventKind.COMPLAINED})


def unknown_type_question(event_type: str) -> str:
    """The question of an event whose type is not known."""
    return f"type {event_type}"[:_MAX_LENGTH]


def unmapped_target_question(target_id: str) -> str:
    """The question of an event about a list, group or stream that no topic maps to."""
    return f"target {target_id}"[:_MAX_LENGTH]


def open_questions(
    events: Iterable[VendorEvent],
    unknown_types: Iterable[str],
    target_topics: Mapping[str, str],
    region: str,
) -> frozenset[str]:
    """The questions that the events of one body leave open.

    `region` (ISO 3166-1 alpha-2) is that of phone numbers without a country code.
    """
    questions = {unknown_type_question(name) for name in unknown_types}
    for event in events:
        target = unmapped_target(event, target_topics)
        if target is not None:
            questions.add(unmapped_target_question(target))
        if event.kind in _OPT_OUT_KINDS and event.address and not _is_address(event, region):
            questions.add(INVALID_ADDRESS_QUESTION)
    return frozenset(questions)


def _is_address(event: VendorEvent, region: str) -> bool:
    try:
        parse_address(event.address, event.channel, region=region)
    except InvalidAddress:
        return False
    return True
