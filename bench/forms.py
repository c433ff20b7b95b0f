"""A mailbox with a thousand forms: one click, one decision, one claimed batch.

Anybody can sign up like that (I9).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.ground import TOPIC, Ground, add_destinations
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.forms import raise_deferred_states
from preference_center.ledger.store.lookup import load_facts, load_facts_by_id

FORMS, DESTINATIONS, BATCH = 1_000, 10, 500


@dataclass(frozen=True, slots=True)
class Forms:
    """Seconds that each took; `facts` is how many a claimed batch loads.

    `raised` is how many sync states the click raises in its transaction, `rest` the seconds
    in which the scheduler raises the others. In `every` seconds each form opts out, in one batch.
    """

    click: float
    raised: int
    rest: float
    every: float
    one: float
    all: float
    batch: float
    facts: int


def measure(ground: Ground, number: int) -> Forms:
    """Sign up a mailbox with so many forms, each of which opts out, and go through the paths."""
    forms = [parse_address(f"jo.doe+{n}@gmail.com", Channel.EMAIL) for n in range(number)]
    with ground.app.app_context():
        for first in range(0, number, 50):
            record([_opt_out(form) for form in forms[first : first + 50]], bulk=True)
        add_destinations(DESTINATIONS)
        ground.vacuum()
        click = _seconds(lambda: record([_opt_out(forms[0], "click")]))
        raised = run_in_transaction(
            lambda c: c.execute("SELECT count(*) FROM sync_state").fetchall()
        )[0][0]
        rest = _seconds(lambda: raise_deferred_states(steps=number))
        every = _seconds(lambda: record([_opt_out(form, "batch") for form in forms], bulk=True))
        one = _seconds(lambda: load_facts(forms[:1]))
        looked_up = _seconds(lambda: load_facts(forms))
        ids = run_in_transaction(
            lambda c: c.execute("SELECT DISTINCT address_id FROM event").fetchall()
        )
        batch = [address for (address,) in ids[:BATCH]]
        begun = time.perf_counter()
        facts = run_in_transaction(lambda c: load_facts_by_id(c, batch))
        taken = time.perf_counter() - begun
    return Forms(click, raised, rest, every, one, looked_up, taken, sum(map(len, facts.values())))


def _opt_out(form: Address, source: str = "bench") -> Change:
    now = datetime.now(UTC)
    new_id = services().new_id()
    return Change(new_id, EventKind.OPTED_OUT, form, TOPIC, now, now, source, "bench", own_act=True)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
