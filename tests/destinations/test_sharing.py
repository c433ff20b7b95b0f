"""Connecting an audience for advertising, from the command to the tool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING, SHARING, Change, EventKind
from preference_center.infra.context import services
from preference_center.integrations.meta_audiences.connector import hash_address
from preference_center.ledger import record
from tests.destinations.commands import flask, ready_to_connect, stored, work
from tests.integrations.tools.meta_audiences import ACCOUNT, TOKEN, MetaStandIn

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

ANNA, BO, CY = "anna@example.com", "bo@example.com", "cy@example.com"


@pytest.fixture
def app(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setenv("META_TOKEN", TOKEN)
    return ready_to_connect(app, monkeypatch)


@pytest.fixture
def meta() -> Iterator[MetaStandIn]:
    with MetaStandIn() as server:
        yield server


def add(app: Flask, meta: MetaStandIn, *words: str) -> Result:
    settings = ["access_token=env:META_TOKEN", f"ad_account={ACCOUNT}", f"base_url={meta.url}"]
    given = [word for each in settings for word in ("--set", each)]
    return flask(app, "destinations", "add", "ads", "--kind", "meta_audiences", *given, *words)


def opt_out(app: Flask, address: str, scope: str) -> None:
    with app.app_context():
        now = services().now()
        person = parse_address(address, Channel.EMAIL)
        record([Change(uuid4(), EventKind.OPTED_OUT, person, scope, now, now, "t", "t")])


def test_who_opts_out_is_taken_out_of_the_audience_and_nobody_is_added(
    app: Flask, meta: MetaStandIn
) -> None:
    opt_out(app, ANNA, SHARING)
    added = add(app, meta, "--topic", "sharing=11")
    assert added.exit_code == 0, added.output
    assert "1 suppressed addresses would be pushed" in added.output
    assert flask(app, "destinations", "resume", "ads").exit_code == 0
    opt_out(app, BO, ALL_MARKETING)
    opt_out(app, CY, "acme.offers")
    work(app)
    assert meta.removed["11"] == {hash_address(ANNA), hash_address(BO)}
    assert {method for method, _ in meta.seen} == {"GET", "DELETE"}
    assert "sharing=11" in flask(app, "destinations", "list").output


@pytest.mark.parametrize(
    "words", [("--topic", "acme.offers=11"), ("--topic", "sharing=11", "--topic", "acme.news=12")]
)
def test_nothing_else_can_be_mapped_to_it(
    app: Flask, meta: MetaStandIn, words: tuple[str, ...]
) -> None:  # I10
    refused = add(app, meta, *words)
    assert refused.exit_code != 0
    assert "--topic sharing=their-id" in refused.output
    assert stored(app) == 0


def test_check_finds_nothing_missing_in_the_catalogue(app: Flask, meta: MetaStandIn) -> None:
    add(app, meta, "--topic", "sharing=11")
    found = flask(app, "destinations", "check", "ads")
    assert found.exit_code == 0, found.output
    assert "Visitors (12)" in found.output
