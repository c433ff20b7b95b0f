"""Write how often a person wants a topic into the fields of a tool's contacts.

A field is written after the opt-outs of the same push, and what goes wrong with it never delays
or fails one of those (I3): it is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import cast

import structlog

from preference_center.destinations.rules.destination import Destination
from preference_center.destinations.settle import safe_message
from preference_center.integrations.base.contract import (
    Connector,
    FieldItem,
    PushItem,
    PushOutcome,
    PushResult,
    SupportsContactFields,
    parse_frequency_fields,
)

RETRY_INTERVAL = timedelta(minutes=15)
"""When a field of an address is tried again whose opt-outs the tool reflects."""

log = structlog.get_logger()


def push(
    destination: Destination, connector: Connector, items: Sequence[PushItem]
) -> dict[int, PushOutcome]:
    """Push `items`, and write the frequencies that a tool holds in fields.

    Returns and raises like `Connector.push`.
    """
    if connector.capabilities.pushes_frequency:
        return dict(connector.push(items))
    states = [item for item in items if item.off or item.lift]
    outcomes = dict(connector.push(states)) if states else {}
    for topic, field in parse_frequency_fields(destination.settings).items():
        chosen = [i for i in items if topic in i.frequencies and _can_write(i, outcomes)]
        if chosen:
            _write(destination, connector, field, topic, chosen, outcomes)
    return outcomes


def _can_write(item: PushItem, outcomes: Mapping[int, PushOutcome]) -> bool:
    """Whether what came before succeeded; a contact that isn't there has no field."""
    before = outcomes.get(item.ref)
    is_first = before is None and not (item.off or item.lift)
    return is_first or (before is not None and before.result is PushResult.REFLECTED)


def _write(
    destination: Destination,
    connector: Connector,
    field: str,
    topic: str,
    items: Sequence[PushItem],
    outcomes: dict[int, PushOutcome],
) -> None:
    values = [FieldItem(i.ref, i.address, i.channel, i.frequencies[topic]) for i in items]
    problem = "no response for this address"
    try:
        written = cast("SupportsContactFields", connector).write_field(field, values)
    except Exception as error:  # noqa: BLE001 - whatever it is, the opt-outs are settled
        log.warning("field_not_written", destination=destination.id, error=type(error).__name__)
        written, problem = {}, safe_message(error)
    for item in items:
        found = written.get(item.ref, PushOutcome(PushResult.RETRY_LATER, problem))
        if item.off or item.lift:
            if found.result is PushResult.RETRY_LATER:
                before = outcomes[item.ref]
                outcomes[item.ref] = replace(before, retry_after=RETRY_INTERVAL)
        else:
            outcomes[item.ref] = found
