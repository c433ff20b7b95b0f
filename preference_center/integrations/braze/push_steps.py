"""What writing to Braze takes, by email address and by phone number alike.

It is asked which users it has before anything is written: it says "success" for others, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from preference_center.domain.sync.contract import PushItem, PushOutcome, PushResult
from preference_center.integrations.base.batching import PushStep
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.braze.client import SUBSCRIBED, UNSUBSCRIBED, BrazeClient

_REFUSED = PushOutcome(PushResult.REFUSED, "400")
_ABSENT = PushOutcome(PushResult.ABSENT, "no user")
_UNEXPECTED_RESPONSE = PushOutcome(PushResult.RETRY_LATER, "the answer can't be read")

OffGroupsByRef = dict[int, frozenset[str] | None]
StateSetter = Callable[[str, str, Sequence[str]], None]
"""Sets a topic to a state, OFF or ON, for up to 50 addresses."""


def build_steps(
    client: BrazeClient,
    id_type: str,
    batch: Sequence[PushItem],
    set_state: StateSetter,
    *,
    existing_only: bool = True,
) -> Iterator[PushStep]:
    """The requests of a push, opt-outs first, a topic at a time. `by` as in `Workspace.users`.

    `ask`: only users who are there are written.
    """
    there = [item for item in batch if item.off or item.lift]
    if existing_only:
        unfit = _find_unwritable(client, id_type, there)
        yield PushStep(tuple(unfit), partial(dict[int, PushOutcome], unfit))
        there = [item for item in there if item.ref not in unfit]
    for state in (UNSUBSCRIBED, SUBSCRIBED):
        wanted = [(item, item.off if state == UNSUBSCRIBED else item.lift) for item in there]
        for topic in sorted(set().union(*(topics for _, topics in wanted))):
            items = [item for item, topics in wanted if topic in topics]
            call = partial(_set_state, items, partial(set_state, topic, state))
            yield PushStep(tuple(item.ref for item in items), call)


def _set_state(
    items: Sequence[PushItem], set_addresses: Callable[[Sequence[str]], None]
) -> Mapping[int, PushOutcome]:
    outcomes = {item.ref: _REFUSED for item in items}
    for part, _ in send_bisecting(
        items, lambda some: set_addresses([item.address for item in some])
    ):
        outcomes |= {item.ref: PushOutcome(PushResult.REFLECTED, "success") for item in part}
    return outcomes


def find_off_groups(
    client: BrazeClient, id_type: str, items: Sequence[PushItem]
) -> tuple[OffGroupsByRef, set[int]]:
    """Ref -> groups that are off, None if nobody has the address; and who can't be asked for.

    `by` as in `Workspace.users`. Who is in neither could not be read.
    """
    taken = send_bisecting(
        items,
        lambda some: client.find_unsubscribed_groups(id_type, [item.address for item in some]),
    )
    held = {
        item.ref: found[item.address]
        for part, found in taken
        for item in part
        if item.address in found
    }
    return held, {item.ref for item in items} - {item.ref for part, _ in taken for item in part}


def _find_unwritable(
    client: BrazeClient, id_type: str, items: Sequence[PushItem]
) -> dict[int, PushOutcome]:
    """Ref -> why an address is not to be written, of those that are not."""
    if not items:
        return {}
    held, rejected = find_off_groups(client, id_type, items)
    found = dict.fromkeys(rejected, _REFUSED)
    for item in items:
        if item.ref not in held.keys() | rejected:
            found[item.ref] = _UNEXPECTED_RESPONSE
        elif held.get(item.ref, frozenset()) is None:
            found[item.ref] = _ABSENT
    return found
