"""What a company's own account page does: read and change preferences."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clock import START, Clock
from tests.destinations.connected import connect
from tests.in_force import CATALOGUE, put_in_force
from tests.web.api.sender import Sender, evidence, make_sender

if TYPE_CHECKING:
    from flask import Flask

ADA = "ada@example.com"
VERSIONS = f"""
[policies.privacy."2026"]
effective = 2026-01-01
url = "https://acme.example/privacy/2026"
sha256 = "{"0" * 64}"
summary = {{ en = "The first one.", it = "La prima." }}

[policies.privacy."2026-12"]
effective = 2026-12-01
url = "https://acme.example/privacy/2026-12"
sha256 = "{"f" * 64}"
summary = {{ en = "A new supplier.", it = "Un nuovo fornitore." }}
reconsent = true
ask_from = 2026-11-26
"""
MINUTE = timedelta(minutes=1)
EVENTS = """SELECT kind, scope, occurred_at, received_at, actor FROM event ORDER BY seq"""


def changed(clock: Clock, **fields: Any) -> dict[str, Any]:
    """What a person changes now, on a page rendered a minute ago."""
    given = {
        "address": ADA,
        "rendered_at": (clock() - MINUTE).isoformat(),
        "evidence": evidence(occurred_at=clock().isoformat()),
    }
    return given | fields


def put(sender: Sender, clock: Clock, **fields: Any) -> dict[str, Any]:
    answer = sender.put("/v1/preferences", changed(clock, **fields))
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def read(sender: Sender, address: str = ADA, channel: str = "email") -> dict[str, Any]:
    answer = sender.post("/v1/preferences/query", {"address": address, "channel": channel})
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def off(rule: str, since: datetime) -> dict[str, str]:
    return {"state": "off", "since": since.isoformat(), "rule": rule}


def topics(**states: dict[str, str] | str) -> dict[str, Any]:
    """`topics(news="on")`: the body's field for topics of Acme."""
    return {
        f"acme.{key}": {"state": state} if isinstance(state, str) else state
        for key, state in states.items()
    }


def test_minting_and_reading_write_nothing(sender: Sender) -> None:
    sender.post("/v1/portal-links", {"address": ADA})
    read(sender)
    for table in ("event", "address", "suppression", "consent", "consumed_one_time_token"):
        assert sender.rows(f"SELECT 1 FROM {table}") == []


def test_sale_and_sharing_are_turned_off_and_on_by_themselves(
    sender: Sender, clock: Clock
) -> None:  # I4, I5
    turned_off = put(sender, clock, sharing={"state": "off"})
    assert turned_off["sharing"] == off("opted_out_of_sharing", clock())
    assert turned_off["topics"]["acme.offers"] == {"state": "on"}
    clock.advance(2 * MINUTE)
    assert put(sender, clock, all_marketing={"state": "on"})["sharing"]["state"] == "off"
    assert put(sender, clock, sharing={"state": "on"})["sharing"] == {"state": "on"}
    assert [row[:2] for row in sender.rows(EVENTS)][-1] == ("opted_in", "sharing")
    assert sender.rows("SELECT topic FROM consent") == []


def test_who_stops_all_marketing_is_not_shared_either(
    sender: Sender, clock: Clock
) -> None:  # GDPR art. 21(2)
    found = put(sender, clock, all_marketing={"state": "off"})
    assert found["sharing"] == off("opted_out_of_all_marketing", clock())


def test_reading_tells_each_topic_with_the_rule_that_holds_it_off(
    sender: Sender, clock: Clock
) -> None:
    assert read(sender) == {
        "read_at": START.isoformat(),
        "closed": False,
        "restricted": False,
        "opt_in": "immediate",
        "all_marketing": {"state": "on"},
        "sharing": {"state": "on"},
        "topics": {
            "acme.news": {"state": "off", "rule": "no_consent"},
            "acme.offers": {"state": "on"},
        },
        "always_on": ["password_reset", "invoice"],
        "one_way_systems": [],
    }
    sender.opt_out(ADA, "all_marketing")
    found = read(sender)
    assert found["all_marketing"] == off("opted_out_of_all_marketing", START)
    assert found["topics"]["acme.offers"]["rule"] == "opted_out_of_all_marketing"


def test_a_key_that_can_not_lift_reads_that_nothing_can_be_turned_on(in_force: Flask) -> None:
    found = read(make_sender(in_force, scopes=["portal", "write"]))
    assert found["opt_in"] == "unavailable"


def test_reading_names_one_way_systems_by_their_titles(sender: Sender) -> None:  # I10
    connect(sender.app, "old-crm", {"acme.offers"}, can_lift=False)
    connect(sender.app, "crm", {"acme.offers"})
    assert read(sender)["one_way_systems"] == ["Un nostro sistema di invio (1)"]
    body = {"address": ADA, "language": "en-GB"}
    found = sender.post("/v1/preferences/query", body).get_json()
    assert found["one_way_systems"] == ["A system that sends our messages (1)"]


def test_reading_knows_topics_of_the_channel_only(sender: Sender) -> None:
    assert set(read(sender, "+393331234567", "sms")["topics"]) == {"acme.sms"}


def test_reading_is_of_the_exact_address(sender: Sender) -> None:  # I9
    sender.opt_out("ada.l@gmail.com", "acme.offers")
    assert read(sender, "adal@gmail.com")["topics"]["acme.offers"] == {"state": "on"}
    assert not sender.ask("offers.weekly", "adal@gmail.com")["allow"]


def test_what_a_person_changes_holds_at_once(sender: Sender, clock: Clock) -> None:  # I2
    until = START + timedelta(days=30)
    found = put(
        sender,
        clock,
        topics=topics(news="on", offers={"state": "paused", "until": until.isoformat()}),
    )
    assert found["topics"] == {
        "acme.news": {"state": "on"},
        "acme.offers": {"state": "paused", "until": until.isoformat()},
    }
    assert len(found["events"]) == 2
    assert sender.ask("newsletter.monthly", ADA)["rule"] == "consented"
    assert sender.ask("offers.weekly", ADA)["rule"] == "paused"
    clock.advance(timedelta(days=30))
    assert sender.ask("offers.weekly", ADA)["allow"]


def test_each_act_counts_from_its_own_time_with_its_evidence(sender: Sender, clock: Clock) -> None:
    acted = START - timedelta(hours=2)
    fields = {
        "rendered_at": (acted - MINUTE).isoformat(),
        "evidence": evidence(occurred_at=acted.isoformat(), source="account page"),
        "topics": topics(news="on", offers="off"),
    }
    put(sender, clock, **fields)
    on, off = sender.rows(EVENTS)
    kept = {"source": "account page", "wording": "Yes, write to me", "language": "en"}
    assert on == ("opted_in", "acme.news", acted - MINUTE, START, "key:shop")
    assert off == ("opted_out", "acme.offers", acted, acted, "key:shop")
    assert sender.evidence() == [kept, kept]


def test_a_stale_page_lifts_no_later_opt_out(sender: Sender, clock: Clock) -> None:
    # I5: the "yes" counts from when the page was rendered
    rendered = clock()
    clock.advance(MINUTE)
    sender.opt_out(ADA, "acme.offers", received_at=clock().isoformat())
    clock.advance(MINUTE)
    found = put(sender, clock, rendered_at=rendered.isoformat(), topics=topics(offers="on"))
    assert found["topics"]["acme.offers"] == off("opted_out_of_topic", START + MINUTE)


def test_a_fresh_page_lifts_an_older_no(sender: Sender, clock: Clock) -> None:
    sender.opt_out(ADA, "all_marketing")
    clock.advance(timedelta(hours=1))
    found = put(sender, clock, all_marketing={"state": "on"})
    assert found["all_marketing"] == {"state": "on"}
    assert found["topics"]["acme.offers"] == {"state": "on"}


def test_an_opt_out_is_never_lost_to_a_later_opt_in_of_a_stale_page(
    sender: Sender, clock: Clock
) -> None:
    clock.advance(timedelta(hours=1))
    put(sender, clock, all_marketing={"state": "off"})
    found = put(sender, clock, topics=topics(news="on", offers="on"))
    assert {topic["state"] for topic in found["topics"].values()} == {"off"}


def test_a_retry_adds_nothing(sender: Sender, clock: Clock) -> None:  # I7
    until = (START + timedelta(days=7)).isoformat()
    body = changed(
        clock,
        topics=topics(news="on", offers={"state": "paused", "until": until}),
        all_marketing={"state": "on"},
    )
    first = sender.put("/v1/preferences", body).get_json()
    assert len(first["events"]) == 2
    again = sender.put("/v1/preferences", body).get_json()
    assert again["events"] == []
    assert {**first, "events": []} == again
    off = changed(clock, topics=topics(offers="off"))
    assert len(sender.put("/v1/preferences", off).get_json()["events"]) == 1
    assert sender.put("/v1/preferences", off).get_json()["events"] == []


def test_an_opt_in_is_new_where_another_form_of_the_mailbox_opted_out(
    sender: Sender, clock: Clock
) -> None:  # I9: the person's own newer yes outranks older wide matches for its exact form
    sender.opt_out("ada.l@gmail.com", "acme.offers")
    clock.advance(timedelta(hours=1))
    put(sender, clock, address="adal@gmail.com", topics=topics(offers="on"))
    assert sender.ask("offers.weekly", "adal@gmail.com")["allow"]
    assert not sender.ask("offers.weekly", "ada.l@gmail.com")["allow"]


def test_what_is_not_named_stays_as_it_is(sender: Sender, clock: Clock) -> None:
    sender.opt_out(ADA, "acme.offers")
    found = put(sender, clock, topics=topics(news="on"))
    assert found["topics"]["acme.offers"]["state"] == "off"
    assert put(sender, clock)["events"] == []


PAST, FAR = START.isoformat(), (START + timedelta(days=400)).isoformat()


@pytest.mark.parametrize(
    "fields, pointer, code",
    [
        ({"topics": topics(nwes="off")}, "/topics/acme.nwes", "unknown-topic"),
        ({"topics": {"a/b~c": {"state": "off"}}}, "/topics/a~1b~0c", "unknown-topic"),
        ({"topics": topics(sms="on")}, "/topics/acme.sms", "wrong-channel"),
        ({"topics": topics(old="on")}, "/topics/acme.old", "rule-violation"),
        ({"topics": topics(news="paused")}, "/topics/acme.news", "invalid-value"),
        ({"topics": topics(news="maybe")}, "/topics/acme.news/state", "invalid-value"),
        ({"topics": {"acme.news": {"stat": "on"}}}, "/topics/acme.news/stat", "unknown-field"),
        ({"topics": {"all_marketing": {"state": "off"}}}, "", "invalid-value"),
        ({"topics": {"sharing": {"state": "off"}}}, "", "invalid-value"),
        (
            {"sharing": {"state": "paused", "until": "2026-12-01T09:00:00Z"}},
            "/sharing",
            "rule-violation",
        ),
        (
            {"topics": topics(news={"state": "on", "until": FAR})},
            "/topics/acme.news",
            "invalid-value",
        ),
        (
            {"topics": topics(news={"state": "paused", "until": PAST})},
            "/topics/acme.news",
            "rule-violation",
        ),
        (
            {"all_marketing": {"state": "paused", "until": FAR}},
            "/all_marketing",
            "rule-violation",
        ),
        ({"address": "nobody"}, "/address", "invalid-address"),
        ({"rendered_at": FAR}, "/rendered_at", "rule-violation"),
        ({"rendered_at": "2026-11-24T09:00:00"}, "/rendered_at", "invalid-value"),
        ({"evidence": evidence(occurred_at=FAR)}, "/evidence/occurred_at", "rule-violation"),
        ({"evidence": evidence(source=f"page of {ADA}")}, "/evidence", "rule-violation"),
    ],
)
def test_a_fault_is_reported_and_nothing_is_written(
    sender: Sender, clock: Clock, fields: dict[str, Any], pointer: str, code: str
) -> None:
    body = changed(clock, **fields)
    body["topics"] = {**body.get("topics", {}), "acme.offers": {"state": "off"}}
    answer = sender.put("/v1/preferences", body)
    assert answer.status_code == 422
    errors = answer.get_json()["errors"]
    assert (pointer, code) in {(error["pointer"], error["code"]) for error in errors}
    assert sender.rows(EVENTS) == []


def test_a_retired_topic_can_still_be_turned_off(sender: Sender, clock: Clock) -> None:
    assert len(put(sender, clock, topics=topics(old="off"))["events"]) == 1


def test_on_a_closed_account_nothing_is_turned_on(sender: Sender, clock: Clock) -> None:  # I4
    from preference_center.core.addresses import Channel, parse_address
    from preference_center.core.events import EVERYTHING, Change, EventKind
    from preference_center.infra.context import services
    from preference_center.ledger import record

    with sender.app.app_context():
        closing = Change(
            id=services().new_id(),
            kind=EventKind.DEACTIVATED,
            address=parse_address(ADA, Channel.EMAIL),
            scope=EVERYTHING,
            occurred_at=START,
            received_at=START,
            source="test",
            actor="test",
        )
        record([closing])
    found = read(sender)
    assert found["closed"]
    assert found["opt_in"] == "unavailable"
    assert found["always_on"] == ["password_reset"]  # marked after_closing
    assert found["all_marketing"] == off("closed", START)
    clock.advance(timedelta(hours=1))
    answer = sender.put("/v1/preferences", changed(clock, topics=topics(offers="on")))
    assert answer.status_code == 422
    assert "closed" in answer.get_json()["detail"]
    assert len(put(sender, clock, topics=topics(offers="off"))["events"]) == 1


def test_who_is_restricted_is_refused_an_opt_in(sender: Sender, clock: Clock) -> None:
    assert sender.post("/v1/contacts/restrict", {"address": ADA}).status_code == 200
    found = read(sender)
    assert found["restricted"]
    assert found["opt_in"] == "unavailable"
    assert found["topics"]["acme.offers"] == off("restricted", START)
    clock.advance(timedelta(hours=1))
    answer = sender.put("/v1/preferences", changed(clock, topics=topics(offers="on")))
    assert answer.status_code == 422
    assert "limits the use" in answer.get_json()["detail"]
    assert len(put(sender, clock, topics=topics(offers="off"))["events"]) == 1


@pytest.mark.parametrize(
    "scopes, state, needed",
    [
        (["write", "lift", "check", "links"], "off", "portal"),
        (["portal", "lift"], "off", "write"),
        (["portal", "write"], "on", "lift"),
        (["portal", "write"], "off", None),
    ],
)
def test_changing_needs_the_scopes_of_what_it_does(
    in_force: Flask, clock: Clock, scopes: list[str], state: str, needed: str | None
) -> None:
    sender = make_sender(in_force, "account", scopes)
    chosen = {"state": state}
    for fields in (
        {"topics": topics(offers=state)}, {"all_marketing": chosen}, {"sharing": chosen}
    ):  # fmt: skip
        answer = sender.put("/v1/preferences", changed(clock, **fields))
        if needed is None:
            assert answer.status_code == 200
        else:
            assert answer.status_code == 403
            assert needed in answer.get_json()["detail"]
    assert bool(sender.rows(EVENTS)) == (needed is None)


@pytest.mark.parametrize("path", ["/v1/preferences", "/v1/preferences/query", "/v1/portal-links"])
def test_an_address_in_the_url_reads_nothing(sender: Sender, path: str) -> None:  # I12
    answer = sender.client.get(f"{path}?address={ADA}", headers=sender.headers)
    assert answer.status_code == 405


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = ["address", "channel", "rendered_at", "evidence", "topics", "all_marketing"]
STATES = st.fixed_dictionaries(
    {"state": st.sampled_from(["on", "off", "paused"])},
    optional={"until": st.datetimes().map(lambda at: f"{at.isoformat()}Z") | JSONS},
)
KEYS = st.sampled_from(["acme.news", "acme.offers", "acme.sms"]) | st.text(max_size=8)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    broken=st.dictionaries(st.sampled_from(FIELDS), JSONS, max_size=2),
    chosen=st.dictionaries(KEYS, STATES, max_size=3),
)
def test_no_body_ever_makes_it_fail(
    sender: Sender, clock: Clock, broken: dict[str, Any], chosen: dict[str, Any]
) -> None:
    body = changed(clock, topics=chosen) | broken
    assert sender.put("/v1/preferences", body).status_code in {200, 400, 422}
    for path in ("/v1/preferences/query", "/v1/portal-links"):
        asked = {"address": body["address"], **broken}
        assert sender.post(path, asked).status_code in {200, 400, 422}


def test_but_not_one_that_the_same_request_ends(sender: Sender, clock: Clock) -> None:
    until = START + timedelta(days=30)
    put(sender, clock, all_marketing={"state": "paused", "until": until.isoformat()})
    clock.advance(5 * MINUTE)
    put(sender, clock, topics=topics(offers="off"))
    clock.advance(5 * MINUTE)
    found = put(sender, clock, all_marketing={"state": "on"}, topics=topics(offers="on"))
    assert found["topics"]["acme.offers"]["state"] == "on"
    assert sender.ask("offers.weekly", ADA)["allow"]


def test_a_pause_holds_for_what_is_turned_on_under_it(sender: Sender, clock: Clock) -> None:
    until = START + timedelta(days=30)
    paused = {"state": "paused", "until": until.isoformat()}
    put(sender, clock, all_marketing=paused)
    clock.advance(5 * MINUTE)
    put(sender, clock, topics=topics(offers="off"))
    clock.advance(5 * MINUTE)
    body = changed(clock, topics=topics(offers="on"))
    found = sender.put("/v1/preferences", body).get_json()
    assert found["topics"]["acme.offers"] == paused
    assert sender.ask("offers.weekly", ADA)["rule"] == "paused"
    assert sender.put("/v1/preferences", body).get_json()["events"] == []  # I7: a retry ends none
    clock.advance(5 * MINUTE)
    assert put(sender, clock, topics=topics(offers="on"))["topics"]["acme.offers"]["state"] == "on"
    assert sender.ask("offers.weekly", ADA)["allow"]


class TestKeep:
    """A topic that ends with a coming version of the privacy policy is agreed to before."""

    @pytest.fixture
    def sender(self, in_force: Flask, sender: Sender, clock: Clock) -> Sender:
        put_in_force(in_force, CATALOGUE + VERSIONS)
        put(sender, clock, topics=topics(news="on"))
        clock.advance(timedelta(days=3))
        return sender

    def kept(self, sender: Sender, clock: Clock, state: str = "on", **stated: str) -> list[str]:
        given = evidence(occurred_at=clock().isoformat(), **stated)
        events: list[str] = put(sender, clock, evidence=given, topics=topics(news=state))["events"]
        return events

    def test_with_that_version_as_evidence(self, sender: Sender, clock: Clock) -> None:
        assert len(self.kept(sender, clock, policy="privacy/2026-12")) == 1
        assert self.kept(sender, clock, policy="privacy/2026-12") == []  # I7
        assert sender.evidence()[-1]["policy"] == "privacy/2026-12"
        clock.advance(timedelta(days=7))
        assert sender.ask("newsletter.monthly", ADA)["rule"] == "consented"

    def test_not_without_it(self, sender: Sender, clock: Clock) -> None:
        assert self.kept(sender, clock) == []
        clock.advance(timedelta(days=7))
        assert sender.ask("newsletter.monthly", ADA)["rule"] == "no_consent"

    def test_not_before_it_is_asked_for(self, sender: Sender, clock: Clock) -> None:
        clock.advance(timedelta(days=-2))
        assert self.kept(sender, clock, policy="privacy/2026-12") == []

    def test_an_opt_out_since_the_page_was_rendered_stays(
        self, sender: Sender, clock: Clock
    ) -> None:  # I5
        rendered = clock().isoformat()
        clock.advance(MINUTE)
        sender.opt_out(ADA, "acme.news", received_at=clock().isoformat())
        clock.advance(MINUTE)
        given = evidence(occurred_at=clock().isoformat(), policy="privacy/2026-12")
        found = put(sender, clock, rendered_at=rendered, evidence=given, topics=topics(news="on"))
        assert found["topics"]["acme.news"]["state"] == "off"
