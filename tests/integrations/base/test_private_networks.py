"""A webhook reaches the listed networks of the company, and nothing else that is private."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpcore
import pytest

from preference_center.core.addresses import Channel
from preference_center.core.networks import (
    InvalidNetworks,
    Network,
    is_inside,
    parse_own_networks,
    parse_private_networks,
)
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig, PushItem
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.network import ForbiddenUrl, resolve_allowed_addresses
from preference_center.integrations.webhook.connector import WebhookConnector
from tests.integrations.base.test_ssrf import PRIVATE, Recorder

COMPANY = parse_private_networks("10.20.0.0/16 fd12:3456::/32")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ITEM = PushItem(1, "jo@example.com", Channel.EMAIL)


def allowed(*addresses: str, port: int = 443) -> tuple[str, ...]:
    return resolve_allowed_addresses("hooks.example", port, lambda *_: addresses, networks=COMPANY)


def webhook(
    http: HttpContext, url: str = "https://hooks.example/in", networks: str = "10.20.4.0/24"
) -> WebhookConnector:
    settings = {"url": url, "secret": SECRET, "private_networks": networks}
    return WebhookConnector(DestinationConfig("shop", settings), http)


def pushed(http: HttpContext, **given: str) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        webhook(http, **given).push([ITEM])
    return caught.value


@pytest.mark.parametrize(
    "address",
    ["10.20.0.1", "10.20.255.255", "fd12:3456::1", "::ffff:10.20.0.1", "64:ff9b::10.20.0.1"],
)
@pytest.mark.parametrize("port", [443, 9000])
def test_a_listed_network_is_reached_on_any_port(address: str, port: int) -> None:
    assert allowed(address, port=port) == (address,)


@pytest.mark.parametrize(
    "address",
    [*PRIVATE, "10.21.0.1", "::ffff:10.21.0.1", "64:ff9b::10.21.0.1", "fd12:3457::1",
     "fd12:3456::1%eth0", "2002:0a14:0001::"],
)  # fmt: skip
def test_every_other_private_address_stays_refused(address: str) -> None:
    with pytest.raises(ForbiddenUrl):
        allowed(address)


@pytest.mark.parametrize("others", [("10.21.0.1",), ("127.0.0.1",), ("::ffff:169.254.169.254",)])
def test_one_address_that_is_not_listed_spoils_the_name(others: tuple[str, ...]) -> None:
    with pytest.raises(ForbiddenUrl):
        allowed("10.20.0.1", *others)
    with pytest.raises(ForbiddenUrl):
        allowed("8.8.8.8", *others)


def test_a_public_address_keeps_its_two_ports() -> None:
    assert allowed("8.8.8.8", port=8443)
    with pytest.raises(ForbiddenUrl, match="port"):
        allowed("8.8.8.8", port=9000)
    with pytest.raises(ForbiddenUrl, match="port"):
        allowed("10.20.0.1", "8.8.8.8", port=9000)


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0/0", "::/0", "127.0.0.0/8", "169.254.169.254", "8.8.8.0/24", "10.0.0.0/7",
     "192.168.0.1/16", "fe80::/10", "::ffff:10.0.0.0/104", "intranet", "10.1.0.0/16, ::1"],
)  # fmt: skip
def test_only_parts_of_the_private_ranges_can_be_listed(text: str) -> None:
    with pytest.raises(InvalidNetworks):
        parse_private_networks(text)


@pytest.mark.parametrize("address", ["fd00:ec2::254", "fd20:ce::254", "100.100.100.200"])
def test_the_metadata_of_a_cloud_is_refused_in_a_listed_network_too(address: str) -> None:
    networks = parse_private_networks("fc00::/7 100.64.0.0/10")
    assert is_inside("fd00::1", networks)
    assert not is_inside(address, networks)


def test_a_destination_names_parts_of_what_the_operator_permits() -> None:
    own = "10.20.4.0/24 fd12:3456:1::/48"
    found = parse_own_networks({"private_networks": own}, COMPANY)
    assert found == parse_private_networks(own)
    assert parse_own_networks({}, ()) == ()


@pytest.mark.parametrize("own, permitted", [("10.0.0.0/8", COMPANY), ("10.20.4.0/24", ())])
def test_a_destination_may_name_nothing_else(own: str, permitted: tuple[Network, ...]) -> None:
    with pytest.raises(InvalidNetworks, match="PRIVATE_NETWORKS"):
        parse_own_networks({"private_networks": own}, permitted)


def test_a_webhook_connects_inside_its_own_networks_only() -> None:
    network = Recorder()
    http = HttpContext(
        network=lambda: network, private_networks=COMPANY, resolve=lambda *_: ("10.20.4.9",)
    )
    assert not pushed(http).permanent
    assert network.asked == ["10.20.4.9"]
    (problem,) = webhook(http).check().problems
    assert "can't connect" in problem  # nobody is there
    assert network.asked == ["10.20.4.9"] * 2

    elsewhere = replace(http, resolve=lambda *_: ("10.20.5.9",))
    assert pushed(elsewhere).permanent
    assert "networks" in webhook(elsewhere).check().problems[0]
    assert network.asked == ["10.20.4.9"] * 2


def test_an_address_instead_of_a_name_is_checked_too() -> None:
    network = Recorder()
    http = HttpContext(network=lambda: network, private_networks=COMPANY)
    pushed(http, url="https://10.20.4.9:9443/in")
    assert network.asked == ["10.20.4.9"]
    for host in ("10.20.5.9", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "localhost"):
        assert pushed(http, url=f"https://{host}:9443/in").permanent
    assert network.asked == ["10.20.4.9"]


def test_networks_that_the_operator_does_not_permit_are_reported_and_nothing_is_sent() -> None:
    network = Recorder()
    http = HttpContext(network=lambda: network, resolve=lambda *_: ("10.20.4.9",))
    assert pushed(http).permanent
    assert "PRIVATE_NETWORKS" in webhook(http).check().problems[0]
    assert webhook(http, networks="10.20.4.0/8").check().problems
    assert network.asked == []


def test_a_name_that_answers_differently_the_next_time_gains_nothing() -> None:
    # DNS rebinding: resolved once for each connection, checked, and connected to as checked
    answers = [("10.20.4.9",), ("169.254.169.254",), ("127.0.0.1",)]
    asked: list[str] = []

    def resolve(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    network = Recorder()
    http = HttpContext(network=lambda: network, private_networks=COMPANY, resolve=resolve)
    assert not pushed(http).permanent
    assert (network.asked, len(asked)) == (["10.20.4.9"], 1)
    assert pushed(http).permanent
    assert pushed(http).permanent
    assert network.asked == ["10.20.4.9"]


@dataclass
class Redirecting(Recorder):
    """A receiver that sends every request elsewhere."""

    location: str = ""

    def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
        self.asked.append(host)
        head = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {self.location}\r\n"
        return httpcore.MockStream([f"{head}Content-Length: 0\r\n\r\n".encode()])


@pytest.mark.parametrize(
    "location", ["https://169.254.169.254/latest/meta-data", "https://10.20.4.10/", "/elsewhere"]
)
def test_a_redirect_is_not_followed_from_inside_either(location: str) -> None:
    network = Redirecting(location=location)
    http = HttpContext(
        network=lambda: network, private_networks=COMPANY, resolve=lambda *_: ("10.20.4.9",)
    )
    assert "redirects are not followed" in str(pushed(http))
    assert network.asked == ["10.20.4.9"]
