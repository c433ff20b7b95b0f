"""What there is about somebody whose row does not balance, for anyone who wants to know why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chaos.people import Person
from tests.faults.service import Service

SHOWN = 5
"""People that are looked at."""
_NAME = re.compile(r"person-\d+-\d+@example\.com")
_EVENTS = """SELECT e.seq, e.kind, e.source, e.occurred_at, e.recorded_at
    FROM event e JOIN address a ON a.id = e.address_id WHERE a.digest = '{}' ORDER BY e.seq"""
_STATES = """SELECT s.destination_id, s.wanted_version, s.reflected_version, s.turned_off,
        s.due_at, s.next_at, s.outcome
    FROM sync_state s JOIN address a ON a.id = s.address_id WHERE a.digest = '{}'"""
_DELIVERIES = """SELECT d.destination_id, d.version, d.outcome, d.note, k.ack, d.at
    FROM delivery d LEFT JOIN delivery_ack k ON k.delivery_id = d.id
    JOIN address a ON a.id = d.address_id WHERE a.digest = '{}' ORDER BY d.at"""


def evidence(service: Service, people: Sequence[Person], found: Sequence[str]) -> Iterator[str]:
    """Lines about the first people that `found` names."""
    named = list(dict.fromkeys(name for line in found for name in _NAME.findall(line)))
    known = {person.address: person for person in people}
    for name in named[:SHOWN]:
        yield f"{known.get(name, name)}\n"
        digest = rf"\x{service.digest(name).hex()}"
        for query in (_EVENTS, _STATES, _DELIVERIES):
            rows = service.rows(query.format(digest))
            yield from (f"    {' '.join(map(str, row))}\n" for row in rows)
