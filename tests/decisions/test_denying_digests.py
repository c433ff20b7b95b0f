"""Whom a decision denies marketing is among the digests, whatever has been recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preference_center.core.addresses import (
    Address,
    Channel,
    HashAlgorithm,
    HashedAddress,
    parse_address,
)
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    Change,
    EventKind,
    Retraction,
)
from preference_center.decisions.rules import find_denial
from preference_center.decisions.store import (
    DIGEST_HEAD_BYTES,
    DigestsInfo,
    iter_all_digests,
    load_digests_since,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store.lookup import load_facts
from preference_center.ledger.store.suppressions import PendingMailOptOut, insert_pending
from preference_center.ledger.watermarks import Watermark
from tests.clock import START
from tests.core.histories import NEWS
from tests.ledger.changes import change
from tests.ledger.feed.reader import held_open

FORMS = (
    "{}@gmail.com",
    "j.{}+x@gmail.com",
    "{}@example.org",
    "{}+x@example.org",
    "{}+y@example.org",
)
SCOPES = {
    EventKind.BOUNCED: UNDELIVERABLE,
    EventKind.RESTRICTED: RESTRICTION,
    EventKind.DEACTIVATED: EVERYTHING,
}
KINDS = (
    EventKind.OPTED_OUT,
    EventKind.COMPLAINED,
    EventKind.PAUSED,
    EventKind.OPTED_IN,
    EventKind.CONSENTED,
    *SCOPES,
)
ACT = st.tuples(
    st.sampled_from(KINDS),
    st.integers(0, len(FORMS) - 1),
    st.sampled_from([None, "sha256", "md5"]),
    st.sampled_from([NEWS, ALL_MARKETING]),
    st.integers(0, 5),
)
STEP = st.one_of(ACT, st.just("poll"), st.just("all"), st.just("retract"))


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def everything() -> tuple[DigestsInfo, set[bytes]]:
    first, *batches = iter_all_digests(services().keys, START)
    assert isinstance(first, DigestsInfo)
    return first, {head for batch in batches if isinstance(batch, list) for head in batch}


def since(after: Watermark) -> tuple[DigestsInfo, set[bytes]]:
    info, found = load_digests_since(services().keys, after, START)
    return info, set(found)


def heads(who: Address, *, md5: bool) -> set[bytes]:
    """Under which a reader looks for an address."""
    keys = services().keys
    found = keys.match_keys(who) | (keys.md5_keys(who) if md5 else {})
    return {digest[:DIGEST_HEAD_BYTES] for digest in found}


def act(kind: EventKind, who: Address, hashed: str | None, scope: str, minutes: int) -> Change:
    address: Address | HashedAddress = who
    if hashed and kind is EventKind.OPTED_OUT:
        algorithm = HashAlgorithm(hashed)
        digest = hashlib.new(hashed, who.exact.encode(), usedforsecurity=False).digest()
        address = HashedAddress(Channel.EMAIL, algorithm, digest)
    at = START - timedelta(minutes=minutes)
    until = START + timedelta(days=1) if kind is EventKind.PAUSED else None
    scope = NEWS if kind is EventKind.CONSENTED else SCOPES.get(kind, scope)
    return change(uuid4().int, kind, scope, address=address, at=at, until=until)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(STEP, min_size=1, max_size=8))
def test_nobody_whom_a_decision_denies_is_missing(steps: list[object]) -> None:  # I9, I11
    name = f"jo{uuid4().hex[:12]}"
    people = [parse_address(form.format(name), Channel.EMAIL) for form in FORMS]
    info, found = everything()
    recorded: list[UUID] = []
    for step in [*steps, "poll"]:
        match step:
            case "poll":
                info, more = since(info.watermark)
                found |= more
            case "all":
                info, found = everything()
            case "retract" if recorded:
                record([Retraction(uuid4(), (recorded.pop(),), START, "test", "test")])
            case (EventKind() as kind, int(form), hashed, str(scope), int(minutes)):
                done = act(kind, people[form], hashed, scope, minutes)  # type: ignore[arg-type]
                record([done])
                recorded.append(done.id)
    for who, facts in zip(people, load_facts(people), strict=True):
        if find_denial(NEWS, facts, START):
            assert heads(who, md5=info.matches_md5) & found


def test_an_opt_out_that_commits_late_is_not_missed(app: Flask) -> None:  # I2
    late = parse_address("late@example.com", Channel.EMAIL)
    info, _ = everything()
    with held_open(app, change(1, address=late)):
        record([change(2)])
        info, found = since(info.watermark)
        assert not heads(late, md5=False) & found
    assert heads(late, md5=False) <= since(info.watermark)[1]
    assert heads(late, md5=False) <= everything()[1]


def test_an_opt_out_by_mail_counts_before_its_address_is_known() -> None:
    who = parse_address("grace@example.com", Channel.EMAIL)
    prefix = services().keys.exact_digest(who)[:16]
    waiting = PendingMailOptOut(UUID(int=5), prefix, b"-", ALL_MARKETING, "k", None, START, START)
    info, _ = everything()
    run_in_transaction(lambda c: insert_pending(c, [waiting]))
    assert heads(who, md5=False) <= since(info.watermark)[1]
    assert heads(who, md5=False) <= everything()[1]


@pytest.mark.parametrize("kind", [EventKind.CONSENTED, EventKind.OPTED_OUT])
def test_a_hash_that_becomes_known_is_found_in_its_other_forms(kind: EventKind) -> None:  # I9
    who = parse_address("j.ane@gmail.com", Channel.EMAIL)
    other = parse_address("jane@gmail.com", Channel.EMAIL)
    hashed = HashedAddress(
        Channel.EMAIL, HashAlgorithm.SHA256, hashlib.sha256(who.exact.encode()).digest()
    )
    record([change(1, address=hashed)])
    info, found = everything()
    assert not heads(other, md5=False) & found
    record([change(2, kind, address=who)])
    assert heads(other, md5=False) & since(info.watermark)[1]


def test_what_denies_no_marketing_is_no_reason_to_ask() -> None:
    ended = START - timedelta(minutes=1)
    record(
        [
            change(1, EventKind.PAUSED, at=START - timedelta(days=2), until=ended),
            change(2, EventKind.CONSENTED),
            change(3, EventKind.OPTED_OUT, SHARING),
        ]
    )
    assert everything()[1] == set()
