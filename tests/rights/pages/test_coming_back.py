"""Coming back: at once after an erasure, by staff after the account was closed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import TokenPurpose
from preference_center.infra.context import EXTENSION_NAME
from preference_center.rights.rules.requests import RequestKind
from tests.rights.pages.acts import press, requests_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient

    from tests.clock import Clock

ADDRESS = "jane.doe@example.com"


def visit(app: Flask, clock: Clock) -> str:
    address = parse_address(ADDRESS, Channel.EMAIL)
    token: str = app.extensions[EXTENSION_NAME].links.create_one_time_token(
        TokenPurpose.PAGE_VISIT, address, uuid4(), clock()
    )
    return token


def test_an_erased_person_comes_back_at_once_and_marketing_stays_off(
    app: Flask, client: FlaskClient, clock: Clock, subscribed: Callable[..., Any]
) -> None:  # I6
    press(client, f"/rights/erase/{visit(app, clock)}", extent="marketing", confirm="yes")
    clock.advance(timedelta(days=1))
    path = f"/rights/reopen/{visit(app, clock)}"
    for _ in range(2):
        answer = press(client, path, confirm="yes")
        assert answer.status_code in {200, 303}
    assert not subscribed()
    assert "Weekly digest" in client.get(f"/p/{visit(app, clock)}").text


def test_the_page_says_that_they_are_back(app: Flask, client: FlaskClient, clock: Clock) -> None:
    press(client, f"/rights/erase/{visit(app, clock)}", extent="marketing", confirm="yes")
    clock.advance(timedelta(days=1))
    answer = press(client, f"/rights/reopen/{visit(app, clock)}", confirm="yes")
    assert "You are back" in answer.text
    assert ADDRESS not in answer.text  # C6


def test_a_closed_account_is_opened_by_staff(app: Flask, client: FlaskClient, clock: Clock) -> None:
    press(client, f"/rights/close/{visit(app, clock)}", confirm="yes")
    clock.advance(timedelta(days=1))
    answer = press(client, f"/rights/reopen/{visit(app, clock)}", confirm="yes")
    assert "Our staff read it" in client.get(answer.location).text
    assert requests_in(app)[-1].kind is RequestKind.REOPEN
