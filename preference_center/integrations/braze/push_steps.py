"""The requests of a push to Braze, by email address and by phone number alike.

Users are looked up before anything is written: Braze answers "success" for unknown ones, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from preference_center.integrations.base import runtime
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.braze.client import SUBSCRIBED, UNSUBSCRIBED, BrazeClient

OffGroupsByRef = dict[int, frozenset[str] | None]
StateSetter = Callable[[str, str, Sequence[str]], None]
"""Sets a topic to SUBSCRIBED or UNSUBSCRIBED for up to 50 addresses."""


def build_steps(
    client: BrazeClient,
    id_type: str,
    batch: runtime.Items,
    set_state: StateSetter,
    *,
    existing_only: bool = True,
) -> Iterator[runtime.PushStep]:
    """The requests of a push, opt-outs first, a topic at a time.

    `existing_only`: only users whom Braze has are written.
    """
    there = [item for item in batch if item.off or item.lift]
    if existing_only:
        unfit = _find_unwritable(client, id_type, there)
        yield runtime.PushStep(tuple(unfit), partial(dict[int, runtime.PushOutcome], unfit))
        there = [item for item in there if item.ref not in unfit]
    for state in (UNSUBSCRIBED, SUBSCRIBED):
        wanted = [(item, item.off if state == UNSUBSCRIBED else item.lift) for item in there]
        for topic in sorted(set().union(*(topics for _, topics in wanted))):
            items = [item for item, topics in wanted if topic in topics]
            call = partial(_set_state, items, partial(set_state, topic, state))
            yield runtime.PushStep(tuple(item.ref for item in items), call)


def _set_state(
    items: runtime.Items, set_addresses: Callable[[Sequence[str]], None]
) -> runtime.Outcomes:
    outcomes = {item.ref: runtime.refused() for item in items}
    for part, _ in send_bisecting(
        items, lambda some: set_addresses([item.address for item in some])
    ):
        outcomes |= {item.ref: runtime.reflected("success") for item in part}
    return outcomes


def find_off_groups(
    client: BrazeClient, id_type: str, items: runtime.Items
) -> tuple[OffGroupsByRef, set[int]]:
    """Ref -> groups that are off, None without a user; and refs that Braze rejects.

    A ref in neither could not be read.
    """
    accepted = send_bisecting(
        items,
        lambda some: client.find_unsubscribed_groups(id_type, [item.address for item in some]),
    )
    held = {
        item.ref: found[item.address]
        for part, found in accepted
        for item in part
        if item.address in found
    }
    return held, {item.ref for item in items} - {item.ref for part, _ in accepted for item in part}


def _find_unwritable(
    client: BrazeClient, id_type: str, items: runtime.Items
) -> dict[int, runtime.PushOutcome]:
    """Ref -> the outcome of an address that is not written, and why."""
    if not items:
        return {}
    held, rejected = find_off_groups(client, id_type, items)
    found = dict.fromkeys(rejected, runtime.refused())
    for item in items:
        if item.ref not in held.keys() | rejected:
            found[item.ref] = runtime.retry_later("the answer can't be read")
        elif held.get(item.ref, frozenset()) is None:
            found[item.ref] = runtime.absent("no user")
    return found
