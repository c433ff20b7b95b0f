"""The local filter of the Python client against the service itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preference_center.core import addresses
from preference_center.core.addresses import Channel, HashAlgorithm, HashedAddress, parse_address
from preference_center.core.errors import InvalidAddress
from preference_center.core.events import ALL_MARKETING, EVERYTHING, RESTRICTION, EventKind
from preference_center.core.keys import Keys
from preference_center.infra.context import services
from preference_center.ledger import record
from preference_center_client import Client, OptOut
from preference_center_client.local_filter import DigestKeys, LocalFilter
from preference_center_client.local_filter import addresses as ours
from preference_center_client.local_filter.digests import DigestScheme
from tests.clock import START
from tests.in_force import put_in_force
from tests.ledger.changes import change
from tests.web.api.sender import make_sender

if TYPE_CHECKING:
    from flask import Flask

WEEKLY, OFFERS = "offers.weekly", "acme.offers"
RING = [("d1", b"1" * 32), ("d2", b"2" * 32)]
TEXT = ",".join(f"{name}:{base64.urlsafe_b64encode(key).decode()}" for name, key in RING)
LOCALS = st.from_regex(r"[a-z0-9.+_'-]{1,12}", fullmatch=True)
DOMAINS = st.sampled_from(
    [
        *addresses.PROVIDERS,
        "example.com",
        "a-b.example.org",
        "x--y.com",
        "x.onion",
        "b2b.c0",
    ]
)
FORMS = (
    "{}@gmail.com",
    "J.{}+x@Gmail.com",
    "{}@example.org",
    "{}+x@example.org",
    "ü{}@example.org",
)


@given(LOCALS, DOMAINS, st.booleans())
def test_its_forms_are_those_of_the_service(local: str, domain: str, upper: bool) -> None:  # noqa: FBT001
    raw = f"{local}@{domain}"
    found = ours.forms(raw.upper() if upper else raw)
    if found is None:
        return  # it asks
    assert set(found) == set(parse_address(raw, Channel.EMAIL).forms())
    assert found[0] == parse_address(raw, Channel.EMAIL).exact


@given(st.text(max_size=20), st.sampled_from(["@example.com", "@gmail.com", "", "@x.it "]))
def test_whatever_is_not_plain_has_no_forms(text: str, domain: str) -> None:
    found = ours.forms(text + domain)
    if found is not None:
        try:
            assert set(found) == set(parse_address(text + domain, Channel.EMAIL).forms())
        except InvalidAddress:
            pytest.fail("the service can't read it")


def test_plain_addresses_are_answered_and_not_asked() -> None:
    plain = ["Ada@Example.com", "o'neil/x=y@sub.example.co.uk", "a.b+c@googlemail.com", "x@pm.me"]
    assert all(ours.forms(each) for each in plain)
    assert {ours.forms(each) for each in ("a@b", "ada@", " a@b.it", "ü@b.it", "a@b.local")} == {
        None
    }


def test_a_leading_plus_is_no_tag_and_a_long_domain_is_asked_about() -> None:
    assert ours.forms("+x@example.com") == ("+x@example.com",)
    assert ours.forms("a+x@example.com") == ("a+x@example.com", "a@example.com")
    label = "b" * 31
    assert ours.forms(f"a@{label[:27]}.{label}.com")
    assert ours.forms(f"a@{label}.{label}.com") is None


def test_its_rules_are_of_the_version_of_the_service() -> None:
    assert ours.NORM_VERSION == addresses.NORM_VERSION
    theirs = {
        domain: (provider.domain, provider.ignores_dots)
        for domain, provider in addresses.PROVIDERS.items()
    }
    assert {domain: tuple(provider) for domain, provider in ours.PROVIDERS.items()} == theirs


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("md5", [False, True])
def test_its_digests_are_those_of_the_service(length: int, md5: bool) -> None:  # noqa: FBT001
    keys = Keys(RING, [("e1", b"3" * 32)])
    keys.follow(length)
    who = parse_address("j.ane+x@gmail.com", Channel.EMAIL)
    theirs = keys.match_keys(who) | keys.earlier_match_keys(who)
    theirs |= keys.md5_keys(who) if md5 else {}
    prepared = DigestKeys(TEXT).prepare(["J.ane+x@gmail.com"], DigestScheme(length, md5=md5))
    heads = {int(head) for head in prepared.heads}
    assert heads >= {int.from_bytes(digest[:8], "big") for digest in theirs}
    assert DigestKeys(TEXT).check(dict(list(keys.fingerprints().items())[:length])) == length


@pytest.fixture
def client(app: Flask) -> Iterator[Client]:
    """Of a sender, without a socket."""
    put_in_force(app)
    key = make_sender(app).key
    transport = httpx.WSGITransport(app=app)
    with Client("http://localhost", key, transport=transport) as client, app.app_context():
        yield client


def make_filter(client: Client) -> LocalFilter:
    return LocalFilter(client, services().settings.digest_keys)


ACT = st.tuples(
    st.sampled_from(
        [
            (EventKind.OPTED_OUT, OFFERS),
            (EventKind.OPTED_OUT, ALL_MARKETING),
            (EventKind.COMPLAINED, OFFERS),
            (EventKind.PAUSED, OFFERS),
            (EventKind.DEACTIVATED, EVERYTHING),
            (EventKind.RESTRICTED, RESTRICTION),
            (EventKind.OPTED_IN, OFFERS),
        ]
    ),
    st.integers(0, len(FORMS) - 1),
    st.sampled_from([None, HashAlgorithm.SHA256, HashAlgorithm.MD5]),
    st.booleans(),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(ACT, min_size=1, max_size=5))
def test_what_it_allows_the_service_allows(
    client: Client, acts: list[tuple[tuple[EventKind, str], int, HashAlgorithm | None, bool]]
) -> None:  # I9, I11
    name = f"jo{uuid4().hex[:12]}"
    people = [form.format(name) for form in FORMS]
    local = make_filter(client)
    local.refresh()
    for (kind, scope), form, algorithm, refresh in acts:
        who = parse_address(people[form], Channel.EMAIL)
        until = START + timedelta(days=1) if kind is EventKind.PAUSED else None
        address: object = who
        if algorithm and kind is EventKind.OPTED_OUT:
            hashed = hashlib.new(algorithm, who.exact.encode(), usedforsecurity=False).digest()
            address = HashedAddress(Channel.EMAIL, algorithm, hashed)
        record([change(uuid4().int, kind, scope, address=address, until=until)])
        if refresh:
            local.refresh()
    local.refresh()
    answers = local.decide_many(WEEKLY, people)
    decided = client.decide_many(WEEKLY, people)
    assert [each.allow for each in answers] == [each.allow for each in decided]


def test_it_asks_only_about_whom_something_may_deny(client: Client) -> None:
    people = [f"p{number}@example.com" for number in range(200)]
    client.record_opt_outs([OptOut(each, OFFERS, "phone", START) for each in people[:20]])
    local = make_filter(client)
    local.refresh()
    allowed = local.surely_allowed(WEEKLY, local.prepare(people))
    assert not allowed[:20].any()
    assert np.count_nonzero(allowed) > 170
    assert not local.surely_allowed("newsletter.monthly", local.prepare(people)).any()  # opt-in


def test_an_opt_out_is_felt_at_the_next_refresh(client: Client) -> None:
    local = make_filter(client)
    local.refresh()
    assert local.decide_many(WEEKLY, ["ada@example.com"])[0].advisory == "local_filter"
    client.record_opt_out(OptOut("Ada@example.com", ALL_MARKETING, "chat", START))
    local.refresh()
    decision = local.decide_many(WEEKLY, ["ada@example.com"])[0]
    assert (decision.allow, decision.rule) == (False, "opted_out_of_all_marketing")
