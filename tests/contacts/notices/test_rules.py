"""Whom a new version of the privacy policy is announced to."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from preference_center.contacts.notices.rules import Reach, StoredAddress, select_recipients
from preference_center.core.addresses import Channel
from preference_center.core.events import ALL_MARKETING, ScopeFact
from tests.core.histories import NOW
from tests.decisions.facts import (
    BOUNCED,
    CLOSED,
    CLOSED_NEARBY,
    ERASED,
    INVOICE,
    LAST_INVOICE,
    RESTRICTED,
    consent,
    off,
)

ADA, GRACE = UUID(int=1), UUID(int=2)


def stored(
    number: int,
    *facts: ScopeFact,
    contact: UUID | None = ADA,
    channel: Channel = Channel.EMAIL,
    readable: bool = True,
    erased: bool = False,
    moved: bool = False,
) -> StoredAddress:
    return StoredAddress(number, channel, readable, erased, moved, contact, facts)


def selected(
    *addresses: StoredAddress, after: int = 0, message: object = INVOICE
) -> Sequence[tuple[int, Reach]]:
    found = select_recipients(addresses, after, message, NOW)  # type: ignore[arg-type]
    return [(each.address_id, each.reach) for each in found]


@pytest.mark.parametrize(
    "facts", [(), (off(ALL_MARKETING),), (off(),), (RESTRICTED,), (consent(),)]
)
def test_everyone_active_is_whatever_they_chose(facts: tuple[ScopeFact, ...]) -> None:  # I4
    assert selected(stored(1, *facts)) == [(1, Reach.REACHABLE)]


def test_an_address_that_was_corrected_is_not_used_any_more() -> None:
    assert selected(stored(1, moved=True), stored(2)) == [(2, Reach.REACHABLE)]


def test_closed_accounts_are_only_where_the_message_may_reach_them() -> None:  # I4
    assert selected(stored(1, CLOSED)) == []
    assert selected(stored(1, CLOSED), message=LAST_INVOICE) == [(1, Reach.REACHABLE)]
    assert selected(stored(1, CLOSED_NEARBY)) == [(1, Reach.REACHABLE)]  # another's account


def test_the_erased_never_are() -> None:  # I6
    erased = stored(1, ERASED, readable=False, erased=True)
    assert selected(erased, message=LAST_INVOICE) == []


@pytest.mark.parametrize(
    "address, reach",
    [
        (stored(1, BOUNCED), Reach.BOUNCED),
        (stored(1, channel=Channel.PHONE), Reach.PHONE_ONLY),
        (stored(1, off(), contact=None, readable=False), Reach.DIGEST_ONLY),
        (stored(1, channel=Channel.SMS), Reach.REACHABLE),
    ],
)
def test_whom_no_message_reaches_is_listed_as_such(address: StoredAddress, reach: Reach) -> None:
    assert selected(address) == [(1, reach)]


def test_an_address_of_nobody_needs_a_choice_of_its_own() -> None:
    assert selected(stored(1, contact=None)) == []
    assert selected(stored(1, BOUNCED, contact=None)) == []
    assert selected(stored(1, off(exact=False), contact=None)) == []  # I9
    assert selected(stored(1, off(), contact=None)) == [(1, Reach.REACHABLE)]


def test_a_contact_counts_once_at_the_best_address() -> None:
    number, bounced = stored(1, channel=Channel.SMS), stored(2, BOUNCED)
    assert selected(number, bounced, stored(3), stored(4)) == [(3, Reach.REACHABLE)]
    assert selected(number, bounced) == [(1, Reach.REACHABLE)]
    assert selected(bounced, stored(3, contact=GRACE)) == [
        (2, Reach.BOUNCED),
        (3, Reach.REACHABLE),
    ]


def test_each_person_is_selected_on_the_page_of_their_lowest_address_only() -> None:
    both = (stored(5), stored(9))
    assert selected(*both, after=4) == [(5, Reach.REACHABLE)]
    assert selected(*both, after=5) == []
