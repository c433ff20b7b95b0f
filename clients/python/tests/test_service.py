"""The client against a running service.

PREFERENCE_CENTER_URL, _KEY and _LINK_KEY name one whose catalogue has an opt-out topic
`acme.offers` with the type `offers.weekly`, an opt-in topic `acme.news` with `newsletter.monthly`,
and the service type `invoice`. `make test-clients` starts it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from preference_center_client import (
    Action,
    AsyncClient,
    Client,
    Consent,
    Evidence,
    InvalidRequest,
    LinkRequest,
    NotPermitted,
    OptOut,
    Sending,
    Unauthenticated,
)
from preference_center_client.links import LinkMinter

URL = os.environ.get("PREFERENCE_CENTER_URL", "")
KEY = os.environ.get("PREFERENCE_CENTER_KEY", "")
LINK_KEY = os.environ.get("PREFERENCE_CENTER_LINK_KEY", "")
WHEN = datetime(2026, 11, 24, 8, tzinfo=UTC)
EVIDENCE = Evidence("checkout", "Yes, write to me", "en", WHEN)

pytestmark = pytest.mark.skipif(
    not URL, reason="make test-clients: PREFERENCE_CENTER_URL names no service"
)


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(URL, KEY) as client:
        yield client


@pytest.fixture
def address() -> str:
    """Of somebody nobody else asks about."""
    return f"ada-{uuid4().hex}@example.com"


def test_an_opt_out_counts_for_the_next_decision(client: Client, address: str) -> None:  # I2
    assert client.decide("offers.weekly", address).allow
    key = str(uuid4())
    stop = OptOut(address, "acme.offers", "phone", WHEN)
    first = client.record_opt_out(stop, idempotency_key=key)
    assert first.recorded
    assert client.record_opt_out(stop, idempotency_key=key) == first
    assert not client.record_opt_out(stop).recorded
    decision = client.decide("offers.weekly", address)
    assert (decision.allow, decision.rule) == (False, "opted_out_of_topic")
    assert decision.event == first.event
    assert decision.since is not None


def test_a_list_is_decided_in_its_order(client: Client, address: str) -> None:
    client.record_opt_out(OptOut(address, "all_marketing", "chat", WHEN))
    rows = [address, "not an address", f"x{address}"]
    rules = [each.rule for each in client.decide_many("offers.weekly", rows)]
    assert rules == ["opted_out_of_all_marketing", "unparseable_address", "not_opted_out"]


def test_a_consent_allows_what_needs_one(client: Client, address: str) -> None:
    assert client.decide("newsletter.monthly", address).rule == "no_consent"
    assert client.record_consent(Consent(address, "acme.news", EVIDENCE)).recorded
    assert client.decide("newsletter.monthly", address).rule == "consented"


def test_what_is_wrong_with_a_request_is_said(client: Client, address: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        client.record_opt_out(OptOut(address, "acme.offer", "phone", WHEN))
    assert raised.value.type == "unknown-topic"
    assert raised.value.errors[0].pointer == "/0/scope"
    with Client(URL, "pc_nobody_x") as stranger, pytest.raises(Unauthenticated):
        stranger.decide("offers.weekly", address)
    with Client(URL, "pc_nobody_x") as stranger:
        assert stranger.decide("invoice", address, service=True).allow


def test_a_key_without_the_scope_is_refused(address: str) -> None:
    limited = os.environ["PREFERENCE_CENTER_LIMITED_KEY"]  # may check offers.weekly, and no more
    with Client(URL, limited) as client:
        assert client.decide("offers.weekly", address).allow
        with pytest.raises(NotPermitted):
            client.record_opt_out(OptOut(address, "acme.offers", "phone", WHEN))
        sending = Sending(client, service_types=["invoice"])
        assert sending.action("invoice", address) is Action.SEND
        with pytest.raises(NotPermitted):
            sending.action("newsletter.monthly", address)


def test_links_made_offline_opt_out_with_one_click(client: Client, address: str) -> None:
    links = LinkMinter(LINK_KEY).mint(address, "acme.offers", str(uuid4()))
    token = links.unsubscribe_url.rpartition("/")[2]
    answer = httpx.post(f"{URL}/u/{token}", data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert client.decide("offers.weekly", address).rule == "opted_out_of_topic"


def test_links_made_by_the_service(client: Client, address: str) -> None:
    [links] = client.make_links([LinkRequest(address, "acme.offers", "m-1")])
    assert links.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert links.unsubscribe_url in links.headers["List-Unsubscribe"]


def test_contacts_and_account_pages(client: Client, address: str) -> None:
    contact = {"external_id": uuid4().hex, "addresses": [{"address": address}]}
    saved = client.save_contact(contact)
    assert (saved.account, saved.recorded) == ("open", True)
    assert "/portal/" in client.make_portal_link(address, language="it")
    read = client.get_preferences(address)
    update = {
        "address": address,
        "rendered_at": read["read_at"],
        "evidence": EVIDENCE.to_json() | {"occurred_at": read["read_at"]},
        "topics": {"acme.offers": {"state": "off"}},
    }
    assert client.put_preferences(update)["topics"]["acme.offers"]["state"] == "off"
    sending = Sending(client, service_types=["invoice"])
    assert sending.action("invoice", address) is Action.SEND
    closed = client.deactivate_contact({"contact": saved.contact})
    assert closed.account == "deactivated"
    assert client.decide("offers.weekly", address).rule == "closed"
    assert sending.action("invoice", address) is Action.DROP  # I4


def test_the_feed_has_what_was_recorded(client: Client, address: str) -> None:
    after = None
    while True:
        page = client.list_changes(after)
        after = page.next
        if not page.more:
            break
    client.record_opt_out(OptOut(address, "acme.offers", "phone", WHEN))
    kinds = list[str]()
    end = time.monotonic() + 60
    while not kinds and time.monotonic() < end:  # any open transaction holds the feed back
        page = client.list_changes(after)
        after = page.next
        kinds = [each["kind"] for each in page.changes if each.get("address") == address]
        time.sleep(0.05)
    assert kinds == ["opted_out"]
    assert address in [each.get("address") for each in client.iter_suppressions(limit="50")]


def test_the_async_client_asks_the_same(address: str) -> None:
    async def work() -> None:
        async with AsyncClient(URL, KEY) as client:
            asked = [client.decide("offers.weekly", address) for _ in range(8)]
            assert all(each.allow for each in await asyncio.gather(*asked))
            await client.record_opt_out(OptOut(address, "acme.offers", "app", WHEN))
            assert not (await client.decide("offers.weekly", address)).allow

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work()).result()  # noqa: TID251 - in its own thread


def test_every_path_is_in_the_description_of_the_service() -> None:
    import inspect
    import re

    from preference_center_client import operations

    served = httpx.get(f"{URL}/v1/openapi.json").json()["paths"]
    used = set(re.findall(r'"(/v1/[a-z/-]+)"', inspect.getsource(operations)))
    assert used
    assert used <= set(served)
