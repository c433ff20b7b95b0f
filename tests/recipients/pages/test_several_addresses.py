"""Two mailboxes and a phone number on one page: each has its fields, and keeps its choices."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from preference_center.core.addresses import Channel, mask_address, parse_address
from preference_center.core.links.tokens import TokenPurpose
from tests.recipients.pages.test_proven_addresses import MAILBOX, PHONE, one_time
from tests.web.pages.screen import Screen

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.clock import Clock
    from tests.ledger.tables import Ledger

OTHER_MAILBOX = parse_address("office@work.example", Channel.EMAIL)
SAVE, SAVE_OTHER, SAVE_PHONE = (
    f"Save for {mask_address(each)}" for each in (MAILBOX, OTHER_MAILBOX, PHONE)
)

ABOUT, OTHER_ABOUT = (
    f"This is about messages to <strong>{mask_address(each)}</strong>."
    for each in (MAILBOX, OTHER_MAILBOX)
)


def portal_path(app: Flask, clock: Clock) -> str:
    """The portal link of all three."""
    first, *others = (
        one_time(app, clock, each, TokenPurpose.PORTAL) for each in (PHONE, MAILBOX, OTHER_MAILBOX)
    )
    return f"/portal/{first}?{urlencode({'also': others}, doseq=True)}"


@pytest.fixture
def screen(app: Flask, client: FlaskClient, clock: Clock) -> Screen:
    return Screen.open(client, portal_path(app, clock))


def ticks(screen: Screen) -> dict[str, list[bool]]:
    return {
        topic: [box.checked for box in screen.boxes(topic)]
        for topic in ("digest", "offers", "alerts")
    }


def fill_in(screen: Screen) -> None:
    """Choose something in every section."""
    screen.boxes("digest")[0].checked = False
    screen.boxes("offers")[1].checked = True
    screen.boxes("alerts")[0].checked = True
    screen.choose("pause:digest", "30", 1)


FILLED_IN = {"digest": [False, True], "offers": [False, True], "alerts": [True]}


def test_no_id_occurs_twice_and_each_label_names_a_box_of_its_own(screen: Screen) -> None:
    boxes = [each.given["id"] for each in screen.controls if each.given.get("type") == "checkbox"]
    assert len(boxes) == 5
    assert sorted(screen.labels) == sorted(set(boxes))
    assert len(screen.ids) == len(set(screen.ids))


def test_nothing_calls_a_phone_number_an_address(screen: Screen) -> None:
    phone = screen.text[screen.text.index("<h2>Text messages") :]
    assert "Every topic is off" in phone
    assert "this address" not in phone


def test_a_switch_of_language_keeps_what_is_chosen_in_every_section(
    screen: Screen, ledger: Ledger
) -> None:  # I7
    fill_in(screen)
    shown = screen.press("Italiano")
    assert "Cosa riceve" in shown.text
    assert ticks(shown) == FILLED_IN
    assert shown.chosen("pause:digest") == ["", "30"]
    assert ticks(Screen.open(shown.client, shown.url)) == FILLED_IN  # docs/decisions/0069
    assert ticks(shown.press("English")) == FILLED_IN
    assert ledger.events() == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_save_keeps_what_is_chosen_in_the_other_sections(
    screen: Screen, ledger: Ledger, number: int
) -> None:  # I9
    fill_in(screen)
    shown = screen.press([SAVE, SAVE_OTHER, SAVE_PHONE][number])
    assert 'id="result"' in shown.text
    assert ticks(shown) == FILLED_IN
    assert len({event["address_id"] for event in ledger.events()}) == 1
    for label in (SAVE, SAVE_OTHER, SAVE_PHONE):
        shown = shown.press(label)
    assert ticks(shown) == FILLED_IN
    assert sorted(ledger.kinds()) == [
        ("opted_in", "alerts"),
        ("opted_in", "offers"),
        ("opted_out", "digest"),
        ("paused", "digest"),
    ]
    assert len({event["address_id"] for event in ledger.events()}) == 3


def test_what_a_save_did_names_the_address(screen: Screen) -> None:  # I9
    fill_in(screen)
    saved = screen.press(SAVE)
    assert ABOUT in saved.result
    assert OTHER_ABOUT not in saved.result
    assert ABOUT in saved.press("Undo").result
    assert OTHER_ABOUT in saved.press(SAVE_OTHER).result


def test_a_problem_names_the_address(screen: Screen) -> None:  # I9
    fill_in(screen)
    screen.client.delete_cookie("session")
    assert OTHER_ABOUT in screen.press(SAVE_OTHER).result


def test_an_undo_keeps_what_is_chosen_in_the_other_sections(screen: Screen) -> None:
    fill_in(screen)
    shown = screen.press(SAVE).press("Undo")
    assert ticks(shown) == FILLED_IN | {"digest": [True, True]}


def test_one_press_stops_all_of_one_address_and_keeps_the_choices_of_the_others(
    screen: Screen, ledger: Ledger
) -> None:  # I1, I9
    fill_in(screen)
    shown = screen.press("Stop all marketing", 1)
    assert ledger.kinds() == [("opted_out", "all_marketing")]
    assert ticks(shown) == {"digest": [False, False], "offers": [False, False], "alerts": [True]}
    assert OTHER_ABOUT in shown.result
    assert "All marketing" in shown.result
    undone = shown.press("Undo")
    assert ledger.kinds()[1:] == [("retracted", "all_marketing")]
    assert ticks(undone) == {"digest": [False, True], "offers": [False, False], "alerts": [True]}
    assert OTHER_ABOUT in undone.result


def test_nothing_is_to_undo_where_another_page_has_stopped_it(
    screen: Screen, app: Flask, clock: Clock
) -> None:  # I5
    clock.advance(timedelta(minutes=1))
    Screen.open(screen.client, portal_path(app, clock)).press("Stop all marketing", 1)
    shown = screen.press("Stop all marketing", 1)
    assert "All marketing" in shown.result
    assert "Undo" not in shown.result


@pytest.mark.parametrize("page", ["its own now", "shown before fields had prefixes"])
def test_a_page_left_open_opts_out_whatever_became_of_the_others(
    screen: Screen, ledger: Ledger, page: str
) -> None:  # I1
    save = next(each for each in screen.controls if each.label == SAVE)
    state = next(each for each in screen.controls if each.given.get("name", "").endswith("state"))
    name = state.given["name"] if page == "its own now" else "state"
    path = save.given["formaction"].partition("?" if page == "its own now" else "#")[0]
    answer = screen.client.post(path, data={name: state.given["value"]})
    assert answer.status_code == 303
    assert ledger.kinds() == [("opted_out", "digest")]
