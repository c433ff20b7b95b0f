"""After a Save: a page that can be reloaded, read in another language, and undone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clock import Clock
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_one_time_link import visit
from tests.recipients.pages.test_preferences import Form
from tests.web.pages.fixtures import MakeToken

Subscribed = Callable[..., bool]

MINUTE = timedelta(minutes=1)


@pytest.fixture
def saved(client: FlaskClient, token: str, clock: Clock) -> str:
    """The page after Jane turned her digest off."""
    form = Form.of(client, token)
    clock.advance(MINUTE)
    form.ticks = set()
    return str(form.post(client).location)


def test_it_is_reloaded_without_saving_again(
    client: FlaskClient, saved: str, ledger: Ledger, clock: Clock
) -> None:  # I7
    before = ledger.rows()
    for _ in range(2):
        text = client.get(saved).text
        assert "<title>Saved: What you receive" in text
        assert "Turned off: <strong>" in text
        assert "Everything else is as it was." in text
        clock.advance(MINUTE)
    client.head(saved)
    assert ledger.rows() == before


def test_the_url_leads_the_focus_and_reveals_nothing(saved: str) -> None:  # I12
    parts = urlsplit(saved)
    assert parts.fragment == "result"
    assert "digest" not in saved
    assert "jane" not in saved


def test_the_language_switch_keeps_it(client: FlaskClient, saved: str) -> None:
    form = Form.in_page(saved, client.get(saved).text)
    form.button = {"show": "it"}
    italian = client.post(saved, data=form.data(), follow_redirects=True).text
    assert "<title>Salvato:" in italian
    assert "Riassunto" in italian


@pytest.mark.parametrize("change", ["altered", "another link", "old"])
def test_it_counts_unaltered_for_its_own_link_and_for_half_an_hour(
    client: FlaskClient, saved: str, token: str, make_token: MakeToken, clock: Clock, change: str
) -> None:
    (result,) = parse_qs(urlsplit(saved).query)["result"]
    if change == "altered":
        result = result[:-2] + ("AA" if not result.endswith("AA") else "BB")
    elif change == "another link":
        token = make_token("eve@example.com")
    else:
        clock.advance(timedelta(minutes=31))
    response = client.get(f"/p/{token}?result={result}")
    assert response.status_code == 200
    assert 'id="result"' not in response.text
    undone = client.post(f"/p/{token}", data={"undo": result}, follow_redirects=True)
    assert "The 30 minutes to undo are over." in undone.text
    assert "<title>Error:" in undone.text


def test_pressed_twice_the_same_is_shown(
    client: FlaskClient, token: str, clock: Clock, ledger: Ledger
) -> None:  # I7
    form = Form.of(client, token)
    clock.advance(MINUTE)
    form.ticks = set()
    for _ in range(2):
        assert "Turned off:" in form.send(client).text
        clock.advance(timedelta(seconds=1))
    assert ledger.kinds() == [("opted_out", "digest")]


def test_what_was_changed_since_is_not_claimed(
    client: FlaskClient, saved: str, proven: str, clock: Clock
) -> None:
    clock.advance(MINUTE)
    form = Form.of(client, proven)
    clock.advance(MINUTE)
    form.ticks = {"digest"}
    form.send(client)
    text = client.get(saved).text
    assert "Turned off:" not in text
    assert "Your choices have changed again since." in text


class TestUndo:
    def test_takes_back_what_this_save_turned_off(
        self, client: FlaskClient, token: str, saved: str, clock: Clock, subscribed: Subscribed,
        ledger: Ledger,
    ) -> None:  # fmt: skip
        (result,) = parse_qs(urlsplit(saved).query)["result"]
        assert f'name="undo" value="{result}"' in client.get(saved).text
        for _ in range(2):  # I7
            clock.advance(MINUTE)
            after = client.post(f"/p/{token}", data={"undo": result}, follow_redirects=True)
            assert "<title>Undone:" in after.text
            assert "As before: <strong>" in after.text
            assert subscribed()
        assert ledger.kinds() == [("opted_out", "digest"), ("retracted", "digest")]

    def test_leaves_a_newer_opt_out(
        self, client: FlaskClient, token: str, saved: str, clock: Clock, subscribed: Subscribed
    ) -> None:  # I5
        (result,) = parse_qs(urlsplit(saved).query)["result"]
        clock.advance(MINUTE)
        client.post(f"/u/{token}", data={"confirm": "this"})
        clock.advance(MINUTE)
        after = client.post(f"/p/{token}", data={"undo": result}, follow_redirects=True)
        assert "As before:" not in after.text
        assert not subscribed()

    @pytest.mark.parametrize("first", ["proven", "forwarded"])
    def test_by_a_forwarded_link_leaves_what_was_turned_off_with_another_at_that_moment(
        self,
        client: FlaskClient,
        token: str,
        proven: str,
        clock: Clock,
        subscribed: Subscribed,
        first: str,
    ) -> None:  # I5
        forms = {"proven": Form.of(client, proven), "forwarded": Form.of(client, token)}
        clock.advance(MINUTE)
        locations = {}
        for name in sorted(forms, key=lambda name: name != first):
            forms[name].ticks = set()
            locations[name] = forms[name].post(client).location
            clock.advance(timedelta(seconds=2))
        (result,) = parse_qs(urlsplit(locations["forwarded"]).query)["result"]
        client.post(f"/p/{token}", data={"undo": result})
        assert not subscribed()

    def test_takes_back_a_pause(
        self, client: FlaskClient, token: str, clock: Clock, subscribed: Subscribed
    ) -> None:
        form = Form.of(client, token)
        clock.advance(MINUTE)
        form.pauses = {"digest": "30"}
        location = form.post(client).location
        assert not subscribed()
        (result,) = parse_qs(urlsplit(location).query)["result"]
        client.post(f"/p/{token}", data={"undo": result})
        assert subscribed()

    def test_is_not_offered_for_what_was_turned_on(
        self, client: FlaskClient, proven: str, clock: Clock
    ) -> None:
        form = Form.of(client, proven)
        clock.advance(MINUTE)
        form.ticks.add("offers")
        assert 'name="undo"' not in form.send(client).text


def test_an_error_is_titled_and_tied_to_its_field(
    client: FlaskClient, proven: str, clock: Clock
) -> None:
    form = Form.of(client, proven)
    clock.advance(MINUTE)
    form.ticks.add("offers")
    stranger = client.application.test_client(use_cookies=False)
    location = form.post(stranger).location
    assert urlsplit(location).fragment == "problem"
    text = stranger.get(location).text
    assert "<title>Error: What you receive" in text
    assert '<a href="#topics-offers">' in text
    assert 'aria-describedby="topics-offers-hint"' in text
    assert "Not saved yet." in text.partition('id="topics-offers-hint"')[2].partition("</span>")[0]


def test_very_many_changes_fit_into_a_url(client: FlaskClient, token: str) -> None:
    from preference_center.recipients.pages.results import MAX_LENGTH, save_result_url
    from preference_center.recipients.rules import SaveResult

    with client.application.test_request_context():
        from preference_center.infra.context import services

        now = services().now()
        result = SaveResult(now, turned_off=[f"brand.topic-{number}" for number in range(500)])
        url = save_result_url("pages.preferences", token, result, (), now)
    assert len(url) < MAX_LENGTH + len(token) + 100
    text = client.get(url).text
    assert "<title>Saved:" in text
    assert "Your choices are below." in text


STEPS = st.lists(
    st.tuples(
        st.sets(st.sampled_from(["digest", "offers"])),
        st.dictionaries(
            st.sampled_from(["digest", "offers", "all_marketing"]),
            st.sampled_from(["7", "30", "resume"]),
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_whatever_is_submitted_the_page_shows_what_the_ledger_decides(
    client: FlaskClient, clock: Clock, subscribed: Subscribed,
    steps: list[tuple[set[str], dict[str, str], bool]],
) -> None:  # fmt: skip
    token = visit(client.application, clock)
    for ticks, pauses, stops_all in steps:
        clock.advance(MINUTE)
        form = Form.of(client, token)
        clock.advance(MINUTE)
        if stops_all:
            client.post(f"/u/{token}", data={"confirm": "all"})
        form.ticks, form.pauses = ticks, pauses
        after = form.send(client)
        for topic in ("digest", "offers"):
            row = after.text.partition(f'id="topics-{topic}-hint"')[2].partition("</label>")[0]
            is_sent = topic in after.ticks and "Paused until" not in row
            assert is_sent == subscribed(topic=topic), (topic, row)
