"""How often, brought to a tool: in a field of its contacts, or with what is pushed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from flask import Flask

from preference_center.catalogue import parse_catalogue
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import EventKind, FrequencyChoice, Retraction
from preference_center.destinations.push import RETRY_INTERVAL
from preference_center.destinations.store import backfills, destinations
from preference_center.destinations.store.backfills import backfill
from preference_center.destinations.store.listings import ListingKind
from preference_center.destinations.validate import frequency_problems
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import Capabilities, DestinationConfig
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence
from preference_center.rights.erasure.come_back import return_after_erasure
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.decisions.api.test_frequencies import TEXT
from tests.destinations.steps import ANNA, BO, OTHER, TOPIC, outcomes, read, say, state, work
from tests.destinations.two_way_tool import TwoWayTool, add_destination
from tests.in_force import put_in_force
from tests.rights.erasing import erase, origin

WEEKLY, MONTHLY = FrequencyChoice("weekly", 0), FrequencyChoice("monthly", 1)
FIELDS = f"{TOPIC}=how_often"


@pytest.fixture(autouse=True)
def _offered(in_context: None, app: Flask) -> Iterator[None]:
    from preference_center.catalogue.store import clear_catalogue_cache

    put_in_force(app, TEXT)
    clear_catalogue_cache()
    yield
    clear_catalogue_cache()


@pytest.fixture
def tool() -> TwoWayTool:
    tool = TwoWayTool()
    tool.add(ANNA)
    return tool


@pytest.fixture
def destination() -> int:
    return add_destination("mailer", TOPIC, pulls=False, frequency_fields=FIELDS)


def choose(frequency: FrequencyChoice, address: str = ANNA) -> None:
    say(EventKind.FREQUENCY_CHOSEN, address, frequency=frequency)


def undo_last() -> None:
    newest = "SELECT id FROM event WHERE kind = 'frequency_chosen' ORDER BY seq DESC LIMIT 1"
    ids: list[tuple[UUID]] = run_in_transaction(lambda c: c.execute(newest.encode()).fetchall())
    record([Retraction(uuid4(), ids[0], services().now(), "test", "test")])


def held(tool: TwoWayTool, address: str = ANNA) -> str | None:
    return tool.fields.get((address, "how_often"))


def test_a_choice_is_written_into_the_field_of_the_contact(
    tool: TwoWayTool, destination: int
) -> None:
    choose(MONTHLY)
    assert work(destination, tool) == 1
    assert held(tool) == "monthly"
    assert outcomes(ANNA) == ["reflected"]
    assert tool.off == {}


def test_a_tool_without_a_field_is_not_called(tool: TwoWayTool) -> None:
    destination = add_destination("mailer", TOPIC, pulls=False)
    choose(MONTHLY)
    work(destination, tool)
    assert tool.fields == {}
    assert outcomes(ANNA) == []
    assert state(ANNA, "next_at") is None


def test_no_contact_is_created_and_who_appears_gets_it_then(
    tool: TwoWayTool, destination: int, clock: Clock
) -> None:  # I13
    choose(MONTHLY, BO)
    work(destination, tool)
    assert held(tool, BO) is None
    assert outcomes(BO) == ["absent"]
    tool.contacts[BO] = ""  # no scan has seen it
    clock.advance(timedelta(days=30))
    read(destination, tool, ListingKind.READ)
    work(destination, tool)
    assert held(tool, BO) == "monthly"


def test_another_form_of_the_mailbox_is_lowered(tool: TwoWayTool, destination: int) -> None:  # I9
    tool.add("anna+x@example.com")
    say(EventKind.CONSENTED, "anna+x@example.com")
    choose(MONTHLY)
    work(destination, tool)
    assert held(tool, "anna+x@example.com") == "monthly"


def test_a_choice_taken_back_leaves_the_default_in_the_field(
    tool: TwoWayTool, destination: int
) -> None:  # I5
    choose(MONTHLY)
    work(destination, tool)
    undo_last()
    work(destination, tool)
    assert held(tool) == "weekly"


def test_a_choice_erased_before_the_person_came_back_leaves_the_default_in_the_field(
    tool: TwoWayTool, destination: int, clock: Clock
) -> None:  # I6
    """Their coming back ended the erasure in the tool, which was not brought to it until then."""
    choose(MONTHLY)
    work(destination, tool)
    anna = parse_address(ANNA, Channel.EMAIL)
    clock.advance(timedelta(days=1))
    erase(anna, extent=Extent.MARKETING)
    clock.advance(timedelta(days=1))
    proof = ConsentEvidence("page", "I want to come back", "en", clock())
    return_after_erasure(anna, proof, origin=origin())
    work(destination, tool)
    assert held(tool) == "weekly"


def test_a_choice_taken_back_leaves_the_one_before_in_the_field(
    tool: TwoWayTool, destination: int, clock: Clock
) -> None:  # I5
    choose(MONTHLY)
    clock.advance(timedelta(minutes=1))
    choose(WEEKLY)
    work(destination, tool)
    undo_last()
    work(destination, tool)
    assert held(tool) == "monthly"


def test_a_field_that_fails_delays_no_opt_out(tool: TwoWayTool, destination: int) -> None:  # I3
    tool.broken_fields.add("how_often")
    choose(MONTHLY)
    say(EventKind.OPTED_OUT)
    work(destination, tool)
    assert tool.off[ANNA] == {TOPIC}
    assert outcomes(ANNA)[0] == "reflected"
    assert state(ANNA, "due_at") is None
    assert state(ANNA, "next_at") == services().now() + RETRY_INTERVAL
    found = run_in_transaction(lambda c: destinations.find_by_id(c, services().keys, destination))
    assert found
    assert found.failures == 0


def test_a_field_that_failed_is_tried_again(
    tool: TwoWayTool, destination: int, clock: Clock
) -> None:
    tool.broken_fields.add("how_often")
    choose(MONTHLY)
    say(EventKind.OPTED_OUT)
    choose(WEEKLY, BO)
    tool.add(BO)
    work(destination, tool)
    assert outcomes(BO) == ["later"]
    tool.broken_fields.clear()
    clock.advance(timedelta(hours=1))
    work(destination, tool)
    assert (held(tool), held(tool, BO)) == ("monthly", "weekly")


def test_a_new_destination_learns_what_was_chosen_before(tool: TwoWayTool) -> None:
    choose(MONTHLY)
    destination = add_destination("mailer", TOPIC, pulls=False, frequency_fields=FIELDS)
    _backfill(destination)
    work(destination, tool)
    assert held(tool) == "monthly"


def _backfill(destination: int) -> None:
    now = services().now()
    run_in_transaction(lambda c: backfills.start_backfill(c, destination, now))
    backfill(destination)


@dataclass
class PayloadTool(TwoWayTool):
    """It gets what is chosen with the push, like the webhook."""

    capabilities: ClassVar[Capabilities] = replace(
        TwoWayTool.capabilities,
        can_write_fields=False,
        can_hold_link=False,
        pushes_frequency=True,
    )

    def apply(self, batch: Any) -> None:
        super().apply(batch)
        for item in batch:
            self.fields[item.address, "payload"] = json.dumps(dict(item.frequencies))


def test_a_tool_that_takes_it_with_the_push_needs_no_field() -> None:
    tool, destination = PayloadTool(), add_destination("mailer", TOPIC, OTHER, pulls=False)
    tool.add(ANNA)
    choose(MONTHLY)
    work(destination, tool)
    assert tool.fields[ANNA, "payload"] == '{"acme.offers": "monthly"}'


@pytest.mark.parametrize(
    "setting, problem",
    [
        ("acme.offers", "write topic=field"),
        ("acme.offers=A; acme.offers2=A", "a field of its own"),
        ("acme.sms=A", "is not sent through it"),
        ("acme.news=A", "offers no frequencies"),
        ("acme.offers=choices", "holds links"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(setting: str, problem: str) -> None:
    settings = {"frequency_fields": setting, "link_field": "choices"}
    config = DestinationConfig("mailer", settings, {TOPIC: "1", OTHER: "2"})
    found = list(frequency_problems(config, frozenset({TOPIC, OTHER}), parse_catalogue(TEXT)))
    assert any(problem in each for each in found), found


def test_spaces_in_names_of_fields_are_kept() -> None:
    config = DestinationConfig("mailer", {"frequency_fields": " acme.offers = How often ; "})
    assert config.frequency_fields == {"acme.offers": "How often"}
