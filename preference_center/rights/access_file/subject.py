"""Whom the file is about, and what is known of them, read in one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from preference_center.catalogue import Catalogue
from preference_center.contacts.store import SubjectAddress, list_addresses
from preference_center.core.addresses import Address, Channel
from preference_center.core.links.tokens import restore_address
from preference_center.destinations.set_up import SystemTitles, load_system_titles
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.store.lookup import (
    NO_SCOPE_FACTS,
    ScopeFacts,
    load_exact_facts,
    load_facts_by_id,
)
from preference_center.rights.requests.store import requests
from preference_center.rights.rules.request import RightsRequest


@dataclass(frozen=True, slots=True)
class AccessSubject:
    """The people of one request: their addresses in the order of the file, with their facts.

    Everything is read from `connection`, as of one point in time.
    """

    connection: Connection = field(repr=False)
    request: RightsRequest
    addresses: Sequence[SubjectAddress]
    facts: Sequence[ScopeFacts]
    """Those of exactly each address (I9)."""
    catalogue: Catalogue
    titles: SystemTitles
    language: str
    now: datetime

    @property
    def ids(self) -> list[int]:
        """The ids of the addresses that are stored."""
        return [each.id for each in self.addresses if each.id is not None]

    @property
    def numbers(self) -> Mapping[int, int]:
        """The number in the file of each stored address, by its id."""
        return {each.id: n for n, each in enumerate(self.addresses, 1) if each.id is not None}


def load_subject(
    connection: Connection, request: RightsRequest, catalogue: Catalogue, language: str
) -> AccessSubject:
    """The people of this request, also where nothing is stored about them."""
    addresses = _load_addresses(connection, request)
    return AccessSubject(
        connection,
        request,
        addresses,
        _load_facts(connection, addresses),
        catalogue,
        load_system_titles(connection, catalogue),
        language,
        services().now(),
    )


def readable_address(each: SubjectAddress) -> Address | None:
    """The address, if it can be read."""
    return restore_address(each.text, Channel(each.channel)) if each.text else None


def _load_addresses(connection: Connection, request: RightsRequest) -> list[SubjectAddress]:
    keys = services().keys
    stored = list_addresses(connection, keys, request.subject_digests, request.address_ids)
    known = {(each.channel, each.digest) for each in stored}
    typed = [
        SubjectAddress(channel, keys.digest(text), text=text)
        for channel, text in requests.open_part(keys, request).addresses
    ]
    return [*stored, *(each for each in typed if (each.channel, each.digest) not in known)]


def _load_facts(connection: Connection, addresses: Sequence[SubjectAddress]) -> list[ScopeFacts]:
    """By the address where it can be read, since an opt-out by mail may wait for it; else by id."""
    readable = {n: found for n, each in enumerate(addresses) if (found := readable_address(each))}
    by_address = load_exact_facts(list(readable.values()), connection) if readable else []
    facts = dict(zip(readable, by_address, strict=True))
    by_id = load_facts_by_id(connection, [each.id for each in addresses if each.id is not None])
    return [
        facts[n]
        if n in facts
        else tuple(f for f in by_id.get(each.id or 0, NO_SCOPE_FACTS) if f.exact)
        for n, each in enumerate(addresses)
    ]
