from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from werkzeug.wrappers import Request, Response

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    EndpointGone,
    EraseItem,
    PushItem,
    PushOutcome,
    PushResult,
    RequestRejected,
    SupportsErase,
    TopicOffReason,
)
from preference_center.integrations.base.http import HttpContext, utc_now
from preference_center.integrations.registry import make_connector
from preference_center.integrations.webhook.connector import message_id
from tests.integrations.contract import ANNA, BO, NOW, HttpContract, Rig, lift, off
from tests.integrations.erase_contract import (
    EraseContract,
    EraseHttpContract,
    SmsEraseContract,
    erase,
)
from tests.integrations.sms_contract import SmsContract
from tests.integrations.tools.receiver import SECRET, Receiver
from tests.integrations.tools.stand_in import Fault

DAY = timedelta(days=1)
OTHER_SECRET = "whsec_" + "QUJD" * 8


@dataclass(slots=True)
class Books:
    server: Receiver

    def off(self, address: str) -> set[str]:
        return self.server.off.get(address, set())

    def turn_off(self, address: str, topic: str) -> None:
        self.server.off.setdefault(address, set()).add(topic)

    def requests(self) -> int:
        return len(self.server.seen)

    def add(self, address: str) -> None:
        self.server.persons.add(address)

    def has(self, address: str) -> bool:
        return address in self.server.persons


@pytest.fixture
def server() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def rig(server: Receiver) -> Rig:
    setup = DestinationConfig("shop", {"url": f"{server.url}/hooks?from=pc", "secret": SECRET})
    return Rig("webhook", setup, Books(server))


class TestWebhook(HttpContract, SmsContract, EraseContract, EraseHttpContract, SmsEraseContract):
    pass


def test_a_request_to_erase_names_the_addresses_and_is_the_same_again(
    rig: Rig, server: Receiver
) -> None:
    for refs in ((BO, ANNA), (ANNA, BO)):
        erase(rig, *refs)
    assert server.payloads[0] == {
        "type": "contact.erased",
        "timestamp": None,
        "data": {
            "items": [
                {"address": ANNA, "channel": "email"},
                {"address": BO, "channel": "email"},
            ]
        },
    }
    assert server.ids[0] == server.ids[1]


def test_a_receiver_that_does_not_know_the_type_leaves_it_to_a_person(
    rig: Rig, server: Receiver
) -> None:
    server.fail(Fault(400))
    with pytest.raises(RequestRejected):
        erase(rig, ANNA)


def with_settings(rig: Rig, **settings: str) -> Rig:
    return replace(rig, setup=replace(rig.setup, settings={**rig.setup.settings, **settings}))


def test_the_signature_is_that_of_the_standards_example() -> None:  # RULES G2
    when = datetime.fromtimestamp(1614265330, UTC)
    signed = Webhook(SECRET).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", when, '{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_standards_own_verifier_accepts_what_is_sent(rig: Rig, server: Receiver) -> None:
    rig.make(now=utc_now).push([off(1, "büro@exämple.com", "news")])
    payload = Webhook(SECRET).verify(server.bodies[0], server.headers[0])
    assert payload["data"]["items"][0]["address"] == "büro@exämple.com"


def test_the_body_tells_each_item_whole(rig: Rig, server: Receiver) -> None:
    item = PushItem(
        ref=5,
        address="+393331234567",
        channel=Channel.SMS,
        off=frozenset({"offers", "news"}),
        lift=frozenset({"events"}),
        all_off=True,
        version=42,
        since=NOW,
        reasons={
            "news": TopicOffReason("opted_out_of_topic", "news", UUID(int=7), NOW),
            "offers": TopicOffReason("paused", "all_marketing", UUID(int=8), NOW, NOW + DAY),
        },
        frequencies={"events": "monthly"},
    )
    rig.make().push([item])
    assert server.payloads == [
        {
            "type": "preferences.changed",
            "timestamp": "2026-11-25T12:00:00+00:00",
            "data": {
                "items": [
                    {
                        "address": "+393331234567",
                        "channel": "sms",
                        "off": ["news", "offers"],
                        "lift": ["events"],
                        "all_off": True,
                        "version": 42,
                        "since": "2026-11-25T12:00:00+00:00",
                        "reasons": {
                            "news": {
                                "rule": "opted_out_of_topic",
                                "scope": "news",
                                "event": "00000000-0000-0000-0000-000000000007",
                                "since": "2026-11-25T12:00:00+00:00",
                                "until": None,
                            },
                            "offers": {
                                "rule": "paused",
                                "scope": "all_marketing",
                                "event": "00000000-0000-0000-0000-000000000008",
                                "since": "2026-11-25T12:00:00+00:00",
                                "until": "2026-11-26T12:00:00+00:00",
                            },
                        },
                        "frequencies": {"events": "monthly"},
                    }
                ]
            },
        }
    ]
    assert server.targets == ["/hooks?from=pc"]


def test_a_batch_is_one_post(rig: Rig, server: Receiver) -> None:
    rig.make().push([off(n, f"p{n}@example.com", "news") for n in range(100)])
    assert len(server.seen) == 1


def test_a_retry_keeps_id_and_body_and_a_newer_state_gets_its_own(
    rig: Rig, server: Receiver
) -> None:  # G2
    batch = [off(1, ANNA, "news"), off(2, BO, "news")]
    rig.make().push(batch)
    rig.make(now=lambda: NOW + timedelta(hours=5)).push(batch[::-1])
    rig.make().push([off(1, ANNA, "news", version=2), batch[1]])
    first, retry, newer = server.headers
    assert first["webhook-id"] == retry["webhook-id"] != newer["webhook-id"]
    assert server.bodies[0] == server.bodies[1]
    assert int(retry["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 5 * 3600


def test_a_pause_that_ends_is_no_retry_though_its_version_is_the_same(
    rig: Rig, server: Receiver
) -> None:
    # A receiver that drops what it has seen would stay on "off" for ever.
    rig.make().push([off(1, ANNA, "news")])
    rig.make().push([lift(1, ANNA, "news", version=1)])
    first, second = server.headers
    assert first["webhook-id"] != second["webhook-id"]


def test_two_destinations_have_their_own_ids() -> None:
    first, again = (message_id(SECRET, "shop", "{}") for _ in range(2))
    assert first == again != message_id(SECRET, "crm", "{}")


def test_an_id_can_not_be_made_without_the_secret(rig: Rig, server: Receiver) -> None:  # I6
    """A digest of the body would tell whom it was about to anyone who tries addresses."""
    rig.make().push([off(1, ANNA, "news")])
    erase(rig, ANNA)
    with_settings(rig, secret=f"{OTHER_SECRET} {SECRET}").make().push([off(1, ANNA, "news")])
    assert server.bodies[0] == server.bodies[2]
    assert server.ids[0] != server.ids[2]


def test_nothing_but_the_status_is_kept_of_an_answer(rig: Rig) -> None:  # I6
    """What is stored must not be made from the address: an erasure keeps it."""
    [pushed] = rig.make().push([off(1, ANNA, "news")]).values()
    [erased] = erase(rig, ANNA).values()
    assert (pushed.ack, erased.ack) == ("204", "204")


def test_a_second_erasure_of_somebody_has_another_id_and_a_retry_the_same(
    rig: Rig, server: Receiver
) -> None:  # I6
    """A receiver that drops what it has seen would keep who came back in between."""
    connector = cast("SupportsErase", rig.make())
    for request in ("first", "first", "second"):
        connector.erase([EraseItem(1, ANNA, Channel.EMAIL, request=request)])
    assert server.bodies[0] == server.bodies[2]
    first, retry, second = server.ids
    assert first == retry != second


def test_every_secret_signs_while_one_replaces_another(rig: Rig, server: Receiver) -> None:
    rotating = with_settings(rig, secret=f"{OTHER_SECRET} {SECRET}")
    rotating.make().push([off(1, ANNA, "news")])
    server.secret = OTHER_SECRET
    rotating.make().push([off(1, ANNA, "news")])
    assert len(server.headers) == 2
    assert len(server.headers[0]["webhook-signature"].split(" ")) == 2


def test_410_means_the_receiver_is_gone(rig: Rig, server: Receiver) -> None:  # G2
    server.fail(Fault(410))
    with pytest.raises(EndpointGone) as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert caught.value.permanent


@pytest.mark.parametrize("status", [400, 404, 422])
def test_any_other_refusal_is_tried_again(rig: Rig, server: Receiver, status: int) -> None:
    server.fail(Fault(status))
    with pytest.raises(RequestRejected) as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert not caught.value.permanent


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_takes_the_batch_whatever_its_body(rig: Rig, server: Receiver, status: int) -> None:
    server.fail(Fault(status, body="" if status == 204 else "<thanks>"))
    assert set(rig.make().push([off(1, ANNA, "news")])) == {1}


def test_topics_go_by_the_receivers_names_where_mapped(rig: Rig, server: Receiver) -> None:
    mapped = replace(rig, setup=replace(rig.setup, topics={"news": "newsletter-7"}))
    mapped.make().push([off(1, ANNA, "news", "offers")])
    assert server.payloads[0]["data"]["items"][0]["off"] == ["newsletter-7", "offers"]


@pytest.mark.parametrize("secret", ["", "hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_!!", "QUJD"])
def test_a_secret_that_is_none_is_reported_and_signs_nothing(
    rig: Rig, server: Receiver, secret: str
) -> None:
    setup = with_settings(rig, secret=secret or " ").setup
    connector = make_connector("webhook", setup, rig.http)
    assert any("secret" in problem for problem in connector.check().problems)
    with pytest.raises(DeliveryError) as caught:
        connector.push([off(1, ANNA, "news")])
    assert caught.value.permanent
    assert server.seen == []


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://127.0.0.1/",
        "https://user:pass@hooks.example.com/",
        "https://internal.example.com/",
    ],
)
def test_a_forbidden_url_is_reported_and_never_called(url: str) -> None:
    http = HttpContext(resolve=lambda host, _: ("10.0.0.7" if "internal" in host else host,))
    connector = make_connector(
        "webhook", DestinationConfig("shop", {"url": url, "secret": SECRET}), http
    )
    assert not connector.check().ok
    with pytest.raises(DeliveryError) as caught:
        connector.push([off(1, ANNA, "news")])
    assert caught.value.permanent
    assert "user:pass" not in str(caught.value)


def test_the_documented_verification_accepts_our_request_and_no_other(
    rig: Rig, server: Receiver
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "webhook.md").read_text()
    example = page.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(compile(example, "docs/webhook.md", "exec"), names)
    rig.make(now=utc_now).push([off(1, ANNA, "news")])
    headers, body = server.headers[0], server.bodies[0].encode()
    assert names["read_request"](headers, body)[0]["off"] == ["news"]
    with pytest.raises(WebhookVerificationError):
        names["read_request"](headers, body.replace(b"news", b"shoe"))


class Choosy(Receiver):
    """Rejects, with `status`, each batch that holds an address it doesn't like."""

    def __init__(self, status: int = 422) -> None:
        super().__init__()
        self.status = status
        self.dislikes: set[str] = set()

    def handle(self, request: Request) -> Response:
        items = json.loads(request.get_data())["data"]["items"]
        if self.dislikes & {item["address"] for item in items}:
            return Response(status=self.status)
        return super().handle(request)


def many(count: int) -> list[PushItem]:
    return [off(n, f"person-{n}@example.com", "news") for n in range(1, count + 1)]


def results(outcomes: Mapping[int, PushOutcome], result: PushResult) -> set[int]:
    return {ref for ref, outcome in outcomes.items() if outcome.result is result}


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("bad", [1, 250, 500], ids=["the first", "in the middle", "the last"])
def test_one_item_that_is_rejected_is_found_in_one_run(bad: int, status: int) -> None:  # I3
    with Choosy(status) as server:
        server.dislikes = {f"person-{bad}@example.com"}
        setup = DestinationConfig("shop", {"url": f"{server.url}/hooks", "secret": SECRET})
        outcomes = make_connector("webhook", setup, HttpContext(allow_private=True)).push(many(500))
        assert results(outcomes, PushResult.REFUSED) == {bad}
        assert results(outcomes, PushResult.REFLECTED) == set(range(1, 501)) - {bad}
        assert len(server.seen) <= 2 * 9 + 1


@pytest.mark.parametrize("status", [400, 404])
def test_a_receiver_that_takes_nothing_is_at_fault_itself(status: int) -> None:
    with Choosy(status) as server:
        server.dislikes = {item.address for item in many(500)}
        setup = DestinationConfig("shop", {"url": f"{server.url}/hooks", "secret": SECRET})
        with pytest.raises(RequestRejected):
            make_connector("webhook", setup, HttpContext(allow_private=True)).push(many(500))
        assert len(server.seen) <= (12 if status == 400 else 1)


def test_many_rejected_items_take_a_few_runs_each_of_which_goes_on() -> None:  # I3
    with Choosy() as server:
        server.dislikes = {f"person-{n}@example.com" for n in range(7, 500, 20)}
        setup = DestinationConfig("shop", {"url": f"{server.url}/hooks", "secret": SECRET})
        connector, left, runs = (
            make_connector("webhook", setup, HttpContext(allow_private=True)),
            many(500),
            0,
        )
        refused: set[int] = set()
        while left:
            runs += 1
            outcomes = connector.push(left)
            assert outcomes
            refused |= results(outcomes, PushResult.REFUSED)
            left = [item for item in left if item.ref not in outcomes]
        assert refused == set(range(7, 500, 20))
        assert runs <= 6
