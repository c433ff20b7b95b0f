"""A ledger with many events, and lists of its people as lists are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import LIST_ALGORITHMS, Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    UNDELIVERABLE,
    Change,
    EventKind,
    FrequencyChoice,
    can_be_hashed,
    is_valid_scope,
)
from preference_center.decisions.rules import Decision, DecisionRule, decide
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store import suppressions
from preference_center.ledger.store.lookup import load_facts
from preference_center.ledger.store.suppressions import PendingMailOptOut
from tests.clock import START
from tests.core.histories import KINDS, MOMENTS, PAST
from tests.in_force import CATALOGUE
from tests.ledger.oracle import hashed

if TYPE_CHECKING:
    from collections.abc import Sequence

CLOSING = (
    CATALOGUE
    + """
[message_types.last_invoice]
class = "service"
ground = "billing"
after_closing = true
after_closing_ground = "final_invoice"

[policies.privacy.new]
effective = 2026-11-24
url = "https://acme.example/privacy"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
summary = { it = "Nuovo fornitore", en = "A new supplier" }
reconsent = true
"""
)
MESSAGES = {
    "newsletter.monthly": Channel.EMAIL,
    "offers.weekly": Channel.EMAIL,
    "offers.flash": Channel.SMS,
    "old.monthly": Channel.EMAIL,
    "invoice": Channel.EMAIL,
    "last_invoice": Channel.EMAIL,
}
SCOPES = (
    "acme.news",
    "acme.offers",
    "acme.sms",
    ALL_MARKETING,
    EVERYTHING,
    UNDELIVERABLE,
    RESTRICTION,
)

# {n} makes each of them another person's.
_FORMS = (
    "jane{n}@gmail.com", "j.ane{n}@gmail.com", "jane{n}+x@googlemail.com", "+jane{n}@gmail.com",
    "jo{n}@example.org", "jo{n}+a@example.org", "jo{n}+b@example.org", "+jo{n}@example.org",
    "a{n}@me.com", "a{n}+tag@icloud.com", "b.c{n}+t@outlook.it", "b.c{n}@outlook.it",
    "o'neil{n}@example.com", "mario{n}@münchen.example", "émile{n}@example.fr",
    '"odd {n}"@example.com', "dots..{n}@example.jp", "end.{n}.@example.jp",
)  # fmt: skip
_NUMBERS = ("+3933312{n:05}", "+4477009{n:05}")


def people(numbers: range) -> list[Address]:
    """Several forms of many mailboxes, and phone numbers."""
    found = [parse_address(form.format(n=n), Channel.EMAIL) for n in numbers for form in _FORMS]
    return found + [
        parse_address(form.format(n=n), Channel.SMS) for n in numbers for form in _NUMBERS
    ]


def happen(random: Random, addresses: Sequence[Address], count: int) -> None:
    """Many events at few times, so that they coincide and tie; some by hashes only."""
    record([_change(random, random.choice(addresses), number) for number in range(1, count + 1)])
    keys = services().keys
    emails = [a for a in addresses if a.channel is Channel.EMAIL]
    mails = [
        PendingMailOptOut(
            UUID(int=count + number),
            keys.exact_digest(address)[:16],
            number.to_bytes(8, "big"),
            random.choice(["acme.offers", None]),
            "l1",
            date(2026, 11, 1),
            at := random.choice(PAST),
            at,
        )
        for number, address in enumerate(random.sample(emails, 6), 1)
    ]
    run_in_transaction(lambda connection: suppressions.insert_pending(connection, mails))


def _change(random: Random, address: Address, number: int) -> Change:
    kind = random.choice(KINDS)
    scope = random.choice([scope for scope in SCOPES if is_valid_scope(kind, scope)])
    by_hash = can_be_hashed(kind) and random.random() < 0.1
    who = hashed(address.exact, random.choice(LIST_ALGORITHMS), address) if by_hash else address
    return Change(
        id=UUID(int=number),
        kind=kind,
        address=who,
        scope=scope,
        occurred_at=random.choice(PAST),
        received_at=random.choice(PAST),
        source="test",
        actor="test",
        until=random.choice(MOMENTS) if kind is EventKind.PAUSED else None,
        frequency=FrequencyChoice("weekly", 1) if kind is EventKind.FREQUENCY_CHOSEN else None,
    )


def cells(random: Random, addresses: Sequence[Address]) -> list[str]:
    """Every address as somebody might have typed it, and what is none."""
    found = [written for address in addresses for written in _written(random, address.exact)]
    found += [
        "",
        " ",
        "nobody",
        "two@example.com, three@example.com",
        "x@b.local",
        "a@b",
        "@",
        "NULL",
    ]
    found += [f"new{n}@{domain}" for n in range(40) for domain in ("gmail.com", "example.net")]
    random.shuffle(found)
    return found


def _written(random: Random, exact: str) -> Iterator[str]:
    ways = [
        exact,
        exact.upper() if exact.isascii() else exact,
        f" {exact} ",
        f"Jane Doe <{exact}>",
        f"mailto:{exact}",
        f"{exact}.",
        exact.replace("@", "+new@"),
        exact.replace("gmail.com", "GoogleMail.com"),
        exact.replace("@", "@\u200b"),
    ]
    yield from random.sample(ways, 3)


def answers(message_type: str, found: Sequence[str]) -> list[Decision]:
    """The API's decision on each cell."""
    catalogue = current_catalogue()
    message = catalogue.message_type(message_type)
    topic = catalogue.topic(message.topic) if message.topic else None
    addresses = [_read(cell, MESSAGES[message_type]) for cell in found]
    facts = iter(load_facts([address for address in addresses if address]))
    return [
        decide(message, topic, next(facts), START)
        if address
        else Decision(allow=False, rule=DecisionRule.UNPARSEABLE_ADDRESS)
        for address in addresses
    ]


def _read(cell: str, channel: Channel) -> Address | None:
    try:
        return parse_address(cell, channel)
    except InvalidAddress:
        return None
