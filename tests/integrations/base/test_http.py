from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import pytest
from cryptography import x509
from pydantic import BeforeValidator, TypeAdapter
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response as ServerResponse

from preference_center.integrations.base.contract import DeliveryError, LeaseExpired, NoResponse
from preference_center.integrations.base.http import (
    MAX_RESPONSE_BYTES,
    MAX_RETRY_AFTER,
    HttpContext,
    Response,
    parse_retry_after,
)
from tests.integrations.base.tls_servers import serve_tls
from tests.integrations.tools.stand_in import Fault, StandIn

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


class Echo(StandIn):
    def handle(self, request: Request) -> ServerResponse:
        return ServerResponse(request.environ["RAW_URI"])


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        yield server


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("Wed, 25 Nov 2026 12:00:30 GMT", 30),
        ("Wed, 25 Nov 2026 13:00:30 +0100", 30),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0),
        ("99999999999999999999", MAX_RETRY_AFTER.total_seconds()),
        ("Wed, 25 Nov 2099 11:00:00 GMT", MAX_RETRY_AFTER.total_seconds()),
    ],
)
def test_retry_after_is_read_in_both_its_forms(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", [None, "", "soon", "-5", "1.5", "²", "١٢", "Wed, 99 Foo", "{}"])
def test_a_retry_after_that_makes_no_sense_counts_as_none(value: str | None) -> None:
    assert parse_retry_after(value, NOW) is None


def test_holes_of_a_route_are_quoted(echo: Echo) -> None:
    with HttpContext(allow_private=True).session("x", echo.url) as session:
        answer = session.send("GET", "/g/{id}/{email}", path_params={"id": "1", "email": "a/b?#@ü"})
    assert answer.body == b"/g/1/a%2Fb%3F%23%40%C3%BC"


def test_the_lease_is_asked_before_each_request(echo: Echo) -> None:
    answers = iter([True, False])
    http = HttpContext(allow_private=True, lease_valid=lambda: next(answers))
    with http.session("x", echo.url) as session:
        session.send("GET", "/one")
        with pytest.raises(LeaseExpired):
            session.send("GET", "/two")
    assert echo.seen == [("GET", "/one")]


def test_an_endless_answer_is_given_up(echo: Echo) -> None:
    echo.fail(Fault(200, body="x" * (MAX_RESPONSE_BYTES + 1)))
    with (
        pytest.raises(NoResponse, match="too long"),
        HttpContext(allow_private=True).session("x", echo.url) as session,
    ):
        session.send("GET", "/")


@pytest.fixture
def named_server(tmp_path: Path) -> Iterator[tuple[int, str, list[str]]]:
    yield from serve_tls(tmp_path, [x509.DNSName("hooks.example.com")])


@pytest.fixture
def numbered_server(tmp_path: Path) -> Iterator[tuple[int, str, list[str]]]:
    yield from serve_tls(tmp_path, [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])


def trusting(pem: str) -> HttpContext:
    return HttpContext(
        allow_private=True,
        resolve=lambda *_: ("127.0.0.1",),
        tls=lambda: ssl.create_default_context(cadata=pem),
    )


def test_a_pinned_connection_keeps_name_and_certificate_check(
    named_server: tuple[int, str, list[str]],
) -> None:
    port, pem, asked = named_server
    with trusting(pem).session("x", f"https://hooks.example.com:{port}") as session:
        assert session.send("GET", "/").body == f"hooks.example.com:{port}".encode()
    assert asked == ["hooks.example.com"]


def test_a_certificate_for_the_address_is_none_for_the_name(
    numbered_server: tuple[int, str, list[str]],
) -> None:
    port, pem, _ = numbered_server
    with (
        pytest.raises(DeliveryError, match="can't connect: its certificate is for another name"),
        trusting(pem).session("x", f"https://hooks.example.com:{port}") as session,
    ):
        session.send("GET", "/")


@pytest.mark.parametrize("body", ["17", "null", '"anna@example.com"', "not JSON"])
def test_what_a_validator_did_not_expect_is_an_answer_that_was_not_promised(body: str) -> None:
    shape = TypeAdapter(Annotated[int, BeforeValidator(lambda value: value.strip().year)])
    with pytest.raises(DeliveryError) as caught:
        Response(200, body.encode()).parse(shape)
    assert not caught.value.permanent
    assert "anna" not in str(caught.value)  # I12
