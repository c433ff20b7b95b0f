"""Reads what there is: past the service, and as a sender that asks it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import httpx

from chaos.books import Found
from chaos.people import Person
from preference_center.storage import api_keys
from preference_center.storage.api_keys import KeyScope
from preference_center.storage.database import run
from tests.faults.service import Service

MESSAGE_TYPE = "offers.weekly"
BYSTANDERS = 1_000
"""People who did nothing; a sender asks about them too."""
AT_ONCE = 1_000

STANDING = "SELECT a.digest FROM suppression s JOIN address a ON a.id = s.address_id WHERE standing"
EVENTS = "SELECT a.digest, e.kind, e.source FROM event e JOIN address a ON a.id = e.address_id"
STATES = """SELECT a.digest, count(*) FROM sync_state s JOIN address a ON a.id = s.address_id
    GROUP BY a.digest"""
UNSETTLED = """SELECT count(*) FROM sync_state WHERE due_at IS NOT NULL OR next_at IS NOT NULL
    OR lease IS NOT NULL OR reflected <> wanted"""
EXPLAINED = {
    ("opted_out", "one_click"),
    ("opted_out", "unsubscribe_page"),
    ("retracted", "unsubscribe_page"),
}
"""Kinds and sources of events that people's acts make."""


def look(service: Service, people: Sequence[Person], tools: Mapping[str, set[str]]) -> Found:
    """Everything that the books are held against. The web process must answer."""
    names = {service.digest(person.address): person.address for person in people}

    def name(digest: object) -> str:
        assert isinstance(digest, bytes)
        return names.get(digest, "?")

    opt_outs: Counter[str] = Counter()
    strange = []
    for digest, kind, source in service.rows(EVENTS):
        if (kind, source) not in EXPLAINED or digest not in names:
            strange.append(f"{name(digest)} has an event {kind} by {source}")
        opt_outs[name(digest)] += kind == "opted_out"
    others = (f"bystander-{number}@example.com" for number in range(BYSTANDERS))
    return Found(
        opt_outs=opt_outs,
        strange=strange,
        standing={name(digest) for (digest,) in service.rows(STANDING)},
        denied=set(_denied(service, [*names.values(), *others])),
        tools=tools,
        states={name(digest): count for digest, count in service.rows(STATES)},
        unsettled=unsettled(service),
    )


def unsettled(service: Service) -> int:
    """How many sync states are not done."""
    return int(service.rows(UNSETTLED)[0][0])


def _denied(service: Service, addresses: Sequence[str]) -> Iterator[str]:
    """Whom a sender may not write to, as `POST /v1/decisions` says."""
    scopes, now = [KeyScope.CHECK], datetime.now(UTC)
    with service.app.app_context():
        key = run(lambda c: api_keys.make(c, "chaos", scopes, [MESSAGE_TYPE], now))
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=60) as client:
        for start in range(0, len(addresses), AT_ONCE):
            asked = addresses[start : start + AT_ONCE]
            question = {"message_type": MESSAGE_TYPE, "recipients": asked}
            answer = client.post("/v1/decisions", json=question).raise_for_status().json()
            for address, decision in zip(asked, answer["decisions"], strict=True):
                if not decision["allow"]:
                    yield address
