from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpcore
import pytest

from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.network import (
    ForbiddenUrl,
    is_public,
    system_resolve,
    validate_url,
)

PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::7f00:1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "",
    "nonsense",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_ordinary_addresses_are_public(address: str) -> None:
    assert is_public(address)


# 127.0.0.1 as decimal, octal, hexadecimal, shortened and mixed.
SPELLINGS = [
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f.1",
    "127.0.0.1",
    "127.0.0.1.",
    "0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "localhost",
    "LOCALHOST",
    "１２７.０.０.１",
    "①②⑦.⓪.⓪.①",
]


@dataclass
class Recorder(httpcore.NetworkBackend):
    """Connects to nothing; keeps what it was asked for."""

    asked: list[str] = field(default_factory=list)

    def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
        self.asked.append(host)
        raise httpcore.ConnectError("recorded")


def call(url: str, http: HttpContext) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught, http.session("shop", url) as session:
        session.send("GET", "/")
    return caught.value


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_spelling_of_this_machine_is_connected_to(host: str) -> None:
    network = Recorder()
    call(f"https://{host}/", HttpContext(network=lambda: network, resolve=system_resolve))
    assert network.asked == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "fd00::1"])
def test_a_name_that_resolves_inside_is_not_connected_to(address: str) -> None:
    network = Recorder()
    http = HttpContext(network=lambda: network, resolve=lambda *_: (address,))
    assert call("https://hooks.example.com/", http).permanent
    assert network.asked == []


def test_one_inside_address_among_public_ones_spoils_the_name() -> None:
    network = Recorder()
    http = HttpContext(network=lambda: network, resolve=lambda *_: ("8.8.8.8", "10.0.0.1"))
    assert call("https://hooks.example.com/", http).permanent
    assert network.asked == []


def test_the_connection_goes_to_the_checked_address_and_the_name_is_asked_once() -> None:
    # DNS rebinding: the second answer would be ours.
    answers = [("8.8.8.8",), ("127.0.0.1",)]
    asked: list[str] = []

    def resolve(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    network = Recorder()
    error = call(
        "https://hooks.example.com/", HttpContext(network=lambda: network, resolve=resolve)
    )
    assert not error.permanent
    assert network.asked == ["8.8.8.8"]
    assert asked == ["hooks.example.com"]


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    network = Recorder()
    http = HttpContext(network=lambda: network, resolve=lambda *_: ("8.8.8.8", "9.9.9.9"))
    call("https://hooks.example.com/", http)
    assert network.asked == ["8.8.8.8", "9.9.9.9"]


def test_a_name_without_an_address_is_tried_again_later() -> None:
    def resolve(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    assert not call("https://hooks.example.com/", HttpContext(resolve=resolve)).permanent


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "//hooks.example.com/",
        "hooks.example.com",
        "https://",
        "https:///path",
        "https://user@hooks.example.com/",
        "https://user:pass@hooks.example.com/",
        "https://@hooks.example.com/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:80/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:x/",
        "https://hooks.example.com\\@10.0.0.1/",
        "https://hooks.example.com/\r\nHost: x",
        "https://hooks.example .com/",
        "https://[::1/",
        "",
    ],
)
def test_a_url_that_is_not_plainly_https_to_a_public_host_is_forbidden(url: str) -> None:
    with pytest.raises(ForbiddenUrl):
        validate_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/in?x=1",
        "https://hooks.example.com:8443/",
        "https://8.8.8.8/",
        "https://bücher.example/",
    ],
)
def test_an_ordinary_url_is_allowed(url: str) -> None:
    assert validate_url(url).scheme == "https"


def test_development_may_call_this_machine_but_still_not_with_credentials_in_the_url() -> None:
    assert validate_url("http://127.0.0.1:5000/", allow_private=True).port == 5000
    with pytest.raises(ForbiddenUrl):
        validate_url("http://a:b@127.0.0.1:5000/", allow_private=True)
