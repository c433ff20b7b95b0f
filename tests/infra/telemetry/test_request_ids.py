"""Ids of requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import structlog

from preference_center.infra.telemetry import HEADER, request_id

if TYPE_CHECKING:
    from flask import Flask


def test_an_id_is_returned_and_is_another_for_each_request(app: Flask) -> None:
    client = app.test_client()
    ids = {client.get("/livez").headers[HEADER] for _ in range(3)}
    assert len(ids) == 3


def test_a_given_id_is_kept(app: Flask) -> None:
    given = "0192f0c1-7b1e-7c3e-9d0a-000000000001"
    assert app.test_client().get("/livez", headers={HEADER: given}).headers[HEADER] == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        "short",
        "anna.bianchi@example.com",
        "+393331234567890",
        "393331234567890",
        "a" * 65,
        "a b c d e f g h i j",
        "-aaaaaaaaaaaaaaaa",
        'aaaaaaaaaaaaaaaa"}',
    ],
)
def test_what_could_be_an_address_or_is_no_id_is_replaced(given: str) -> None:  # I12
    assert request_id({"HTTP_X_REQUEST_ID": given}) != given


def test_the_log_has_it(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    given = "0192f0c1-7b1e-7c3e-9d0a-000000000002"
    with app.test_request_context("/livez", headers={HEADER: given}):
        structlog.get_logger().warning("something")
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["request_id"] == given
