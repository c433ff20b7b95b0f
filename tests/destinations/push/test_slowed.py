"""A tool that takes few requests is slow and not broken, as long as pushes work in between (I3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import SLOWED_AT_MOST, Destination, Trouble
from preference_center.destinations.store import destinations
from preference_center.destinations.store.destinations import load_backlogs
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import (
    DeliveryError,
    PushItem,
    RateLimited,
    TooManyRequests,
)
from preference_center.integrations.base.http import raise_for_status
from tests.clock import Clock
from tests.destinations.connected import connect
from tests.destinations.push.test_batches import failing, opt_out
from tests.destinations.tool import Tool

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("in_context")
TOO_MANY = TooManyRequests("mailer: POST /v1: HTTP 429")


@pytest.fixture
def mailer(app: Flask) -> int:
    return connect(app, "mailer", {"acme.offers"})


def look(number: int) -> Destination:
    found = run_in_transaction(lambda c: destinations.find_by_id(c, services().keys, number))
    assert found
    return found


def label() -> str:
    return run_in_transaction(load_backlogs)["mailer"].status_label


def try_again(number: int, tool: Tool, clock: Clock) -> None:
    """Once it is permitted."""
    clock.now = max(clock.now, look(number).retry_at or clock.now)
    sync(number, tool.connect, until=clock() + timedelta(seconds=5), stop=lambda: False)


def test_a_429_is_told_from_other_answers() -> None:
    with pytest.raises(TooManyRequests):
        raise_for_status("mailer: POST /v1", 429, timedelta(seconds=5))
    with pytest.raises(DeliveryError) as caught:
        raise_for_status("mailer: POST /v1", 503, None)
    assert not isinstance(caught.value, TooManyRequests)


def test_a_tool_that_takes_a_tenth_is_slowed_for_hours_and_never_broken(
    mailer: int, clock: Clock
) -> None:
    tool, tries, seen = Tool(), 0, set()

    def take_a_tenth(_: Sequence[PushItem]) -> None:
        nonlocal tries
        tries += 1
        if tries % 10:
            raise TOO_MANY

    tool.before = take_a_tenth
    until = clock() + timedelta(hours=6)
    while clock() < until:
        opt_out(1, first=tries)
        try_again(mailer, tool, clock)
        seen.add(label())
    assert seen == {"slowed", "active"}
    assert len(tool.off) > 15  # a success every quarter of an hour, with what came meanwhile
    assert look(mailer).failures == 0  # batches are as large as ever


def test_it_is_broken_once_no_push_has_worked_for_half_an_hour(mailer: int, clock: Clock) -> None:
    opt_out(2)
    tool, begin = Tool(before=failing(TOO_MANY)), clock()
    while label() != "broken":
        try_again(mailer, tool, clock)
    assert SLOWED_AT_MOST <= clock() - begin < SLOWED_AT_MOST + timedelta(minutes=6)
    try_again(mailer, tool, clock)
    assert look(mailer).trouble is Trouble.FAILING
    tool.before = None
    try_again(mailer, tool, clock)
    assert label() == "active"


@pytest.mark.parametrize(
    "error, trouble",
    [
        (DeliveryError("500"), Trouble.FAILING),
        (DeliveryError("401", permanent=True), Trouble.REFUSED),
    ],
    ids=["500", "401"],
)
def test_a_broken_one_is_not_slowed_by_what_was_not_sent(
    mailer: int, clock: Clock, error: DeliveryError, trouble: Trouble
) -> None:
    opt_out(2)
    tool = Tool(before=failing(error))
    try_again(mailer, tool, clock)
    for later in (RateLimited("kept to its rate limit"), TOO_MANY):
        tool.before = failing(later)
        try_again(mailer, tool, clock)
        assert label() == "broken"
    tool.before = failing(error)
    try_again(mailer, tool, clock)
    assert look(mailer).trouble is trouble
