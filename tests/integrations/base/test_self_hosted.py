"""A tool of the company's own is reached at public addresses and in the networks listed for it."""

from __future__ import annotations

import pytest

from preference_center.core.networks import parse_private_networks
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.registry import get_spec, make_connector
from tests.integrations.base.test_ssrf import Recorder

COMPANY = parse_private_networks("10.20.0.0/16")
TOOLS = ("ghost", "listmonk", "mailman", "tryton")


def attempt(kind: str, url: str, address: str, networks: str) -> tuple[Recorder, str]:
    """What `check` of a tool at `url`, which resolves to `address`, connects to and reports."""
    network = Recorder()
    http = HttpContext(
        network=lambda: network, private_networks=COMPANY, resolve=lambda *_: (address,)
    )
    required = [each for each in get_spec(kind).own_settings if not each.endswith("?")]
    settings = dict.fromkeys(required, "1:aa") | {
        "base_url": url,
        "private_networks": networks,
    }
    connector = make_connector(kind, DestinationConfig("ours", settings, {"a.news": "1"}), http)
    try:
        return network, " ".join(connector.check().problems)
    except DeliveryError as error:
        return network, str(error)


@pytest.mark.parametrize("kind", TOOLS)
@pytest.mark.parametrize(
    "url, address, networks",
    [
        ("http://tool.corp:8001", "10.20.4.9", "10.20.4.0/24"),
        ("https://tool.corp:9000", "10.20.4.9", "10.20.4.0/24"),
        ("https://tool.example.com", "93.184.215.14", ""),
        ("https://tool.example.com", "93.184.215.14", "10.20.4.0/24"),
    ],
)
def test_a_tool_is_reached_where_it_is_listed_and_in_public_by_https(
    kind: str, url: str, address: str, networks: str
) -> None:
    network, _ = attempt(kind, url, address, networks)
    assert set(network.asked) == {address}


@pytest.mark.parametrize("kind", TOOLS)
@pytest.mark.parametrize(
    "url, address, networks, problem",
    [
        ("https://tool.corp", "10.20.4.9", "", "not public"),
        ("https://tool.corp", "10.20.5.9", "10.20.4.0/24", "not public"),
        ("https://tool.corp", "127.0.0.1", "10.20.4.0/24", "not public"),
        ("https://tool.corp", "10.21.0.1", "10.21.0.0/16", "PRIVATE_NETWORKS"),
        ("http://tool.corp:8001", "10.20.4.9", "", "https://"),
        ("http://tool.example.com", "93.184.215.14", "10.20.4.0/24", "https://"),
        ("https://tool.example.com:5432", "93.184.215.14", "10.20.4.0/24", "443 or 8443"),
    ],
)
def test_a_tool_is_reached_nowhere_else(
    kind: str, url: str, address: str, networks: str, problem: str
) -> None:
    network, reported = attempt(kind, url, address, networks)
    assert network.asked == []
    assert problem in reported
