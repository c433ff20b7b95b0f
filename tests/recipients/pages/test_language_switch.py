"""The language switch of the preference page keeps what is chosen and not saved."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.recipients.pages.test_preferences import Form

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.clock import Clock
    from tests.ledger.tables import Ledger


def switch(client: FlaskClient, form: Form) -> Form:
    form.button = {"show": "it"}
    answer = client.post(form.path, data=form.data())
    assert answer.status_code == 303
    return Form.in_page(form.path, client.get(answer.location).text)


def test_it_shows_them_in_the_other_language_and_writes_nothing(
    client: FlaskClient, proven: str, ledger: Ledger
) -> None:  # I7
    form = Form.of(client, proven)
    assert form.text.count('name="show"') == 5
    form.ticks.symmetric_difference_update({"digest", "offers"})
    form.pauses = {"all_marketing": "30"}
    shown = switch(client, form)
    assert "Cosa riceve" in shown.text
    assert shown.ticks == {"offers"}
    assert 'name="pause:all_marketing" value="30" checked' in shown.text
    assert ledger.events() == []


def test_the_page_in_the_other_language_can_be_reloaded(
    client: FlaskClient, proven: str
) -> None:  # docs/decisions/0069
    form = Form.of(client, proven)
    form.ticks.clear()
    form.button = {"show": "it"}
    page = client.post(form.path, data=form.data()).location
    assert Form.in_page(form.path, client.get(page).text).ticks == set()
    assert Form.in_page(form.path, client.get(page).text).ticks == set()
    forged = client.get(page.replace("draft=", "draft=x"))
    assert Form.in_page(form.path, forged.text).ticks != set()


def test_the_result_of_what_was_saved_stays_on_the_page_and_is_sent_once(
    client: FlaskClient, proven: str
) -> None:
    form = Form.of(client, proven)
    form.ticks.clear()
    saved = form.send(client)
    assert saved.text.count(saved.hidden["result"]) == 2  # the other one undoes it
    assert 'id="result"' in switch(client, saved).text


def test_what_is_shown_again_can_be_saved(client: FlaskClient, proven: str, ledger: Ledger) -> None:
    form = Form.of(client, proven)
    form.ticks.clear()
    assert switch(client, form).send(client).ticks == set()
    assert ledger.kinds() == [("opted_out", "digest")]


def test_what_was_turned_off_elsewhere_since_stays_off(
    client: FlaskClient, proven: str, clock: Clock
) -> None:  # I5
    stale = Form.of(client, proven)
    stale.ticks.add("offers")
    clock.advance(timedelta(minutes=1))
    other = Form.of(client, proven)
    other.ticks.clear()
    other.send(client)
    clock.advance(timedelta(minutes=1))
    shown = switch(client, stale)
    assert shown.ticks == {"digest", "offers"}
    assert shown.send(client).ticks == {"offers"}


def test_a_form_without_its_state_is_shown_as_recorded(client: FlaskClient, proven: str) -> None:
    form = Form.of(client, proven)
    form.hidden["state"] = "altered"
    form.ticks.clear()
    assert switch(client, form).ticks == {"digest"}
