"""`/v1/suppressions`: the list, one address with its history, and lifting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    Change,
    EventKind,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.store import suppressions
from preference_center.web.console.looks import list_person_accesses
from tests.clock import START, Clock
from tests.ledger.oracle import hashed
from tests.web.api.sender import Sender, evidence, make_sender

if TYPE_CHECKING:
    from flask import Flask

HOUR = timedelta(hours=1)
ADA, GRACE, MARY = (
    parse_address(f"{name}@example.com", Channel.EMAIL) for name in ("ada", "grace", "mary")
)
NUMBER = parse_address("+39 333 1234567", Channel.SMS)

Row = tuple[str | None, str, str]


@pytest.fixture
def sender(in_force: Flask) -> Iterator[Sender]:
    """A sender that may write, lift and read."""
    with in_force.app_context():
        yield make_sender(in_force, scopes=("check", "write", "lift", "read"))


def happen(
    number: int,
    kind: EventKind = EventKind.OPTED_OUT,
    scope: str = "acme.offers",
    who: Any = ADA,
    at: datetime = START,
    until: datetime | None = None,
) -> None:
    record([Change(UUID(int=number), kind, who, scope, at, at, "test", "test", until=until)])


def listed(sender: Sender, **narrowed: Any) -> list[Row]:
    return [row for page in pages(sender, **narrowed) for row in page]


def pages(sender: Sender, **narrowed: Any) -> Iterator[list[Row]]:
    """Each page, by the cursor of the one before."""
    while True:
        answer = sender.client.get(
            "/v1/suppressions", query_string=narrowed, headers=sender.headers
        )
        assert answer.status_code == 200, answer.text
        shown = answer.get_json()
        yield [(row.get("address"), row["scope"], row["reason"]) for row in shown["suppressions"]]
        if "next" not in shown:
            return
        narrowed |= {"cursor": shown["next"]}


class TestListing:
    def test_a_row_has_scope_time_and_event(self, sender: Sender) -> None:
        happen(1)
        answer = sender.client.get("/v1/suppressions", headers=sender.headers)
        assert answer.get_json() == {
            "suppressions": [
                {
                    "address": "ada@example.com",
                    "channel": "email",
                    "scope": "acme.offers",
                    "reason": "opted_out",
                    "since": "2026-11-24T09:00:00Z",
                    "event": str(UUID(int=1)),
                    "source": "test",
                }
            ]
        }

    def test_every_kind_of_no_is_listed(self, sender: Sender) -> None:
        happen(1, EventKind.COMPLAINED, ALL_MARKETING)
        happen(2, EventKind.BOUNCED, UNDELIVERABLE, GRACE)
        happen(3, EventKind.DEACTIVATED, EVERYTHING, MARY)
        happen(4, EventKind.PAUSED, "acme.sms", NUMBER, until=START + HOUR)
        happen(5, EventKind.RESTRICTED, RESTRICTION, ADA)
        happen(6, EventKind.MOVED, ALL_MARKETING, GRACE)
        assert listed(sender) == [
            ("ada@example.com", "all_marketing", "complained"),
            ("ada@example.com", "restriction", "restricted"),
            ("grace@example.com", "all_marketing", "moved"),
            ("grace@example.com", "undeliverable", "bounced"),
            ("mary@example.com", "everything", "deactivated"),
            ("+393331234567", "acme.sms", "paused"),
        ]

    def test_what_does_not_stand_is_not(self, sender: Sender, clock: Clock) -> None:  # I5
        happen(1)
        happen(2, EventKind.OPTED_IN, at=START - HOUR)  # an older yes lifts nothing
        happen(3, who=GRACE, at=START - HOUR)
        happen(4, EventKind.OPTED_IN, who=GRACE)
        happen(5, EventKind.BOUNCED, UNDELIVERABLE, MARY, at=START - HOUR)
        happen(6, EventKind.OPTED_IN, ALL_MARKETING, MARY)
        happen(7, EventKind.PAUSED, who=NUMBER, until=START + HOUR)
        clock.advance(2 * HOUR)
        assert listed(sender) == [("ada@example.com", "acme.offers", "opted_out")]

    def test_what_counted_bounces_lead_to_is_listed_while_it_stands(
        self, sender: Sender, clock: Clock
    ) -> None:
        for number, who in enumerate((ADA, GRACE), 1):
            happen(number, EventKind.PAUSED, UNDELIVERABLE, who, until=START + 5 * HOUR)
        clock.advance(HOUR)
        happen(3, EventKind.OPTED_IN, ALL_MARKETING, GRACE, at=clock())  # I5
        assert listed(sender) == [("ada@example.com", "undeliverable", "paused")]
        clock.advance(4 * HOUR)
        assert listed(sender) == []

    def test_counted_bounces_count_after_a_bounce_that_was_lifted(
        self, sender: Sender, clock: Clock
    ) -> None:  # I2
        happen(1, EventKind.BOUNCED, UNDELIVERABLE)
        clock.advance(HOUR)
        happen(2, EventKind.OPTED_IN, ALL_MARKETING, at=clock())
        clock.advance(HOUR)
        happen(3, EventKind.PAUSED, UNDELIVERABLE, at=clock(), until=START + 5 * HOUR)
        assert listed(sender) == [("ada@example.com", "undeliverable", "bounced")]
        assert listed(sender, reason="bounced") == listed(sender)
        clock.advance(4 * HOUR)
        assert listed(sender) == []

    def test_of_a_digest_there_is_no_address_to_show(self, sender: Sender) -> None:  # I6
        happen(1, who=hashed(ADA.exact, "sha256", ADA))
        assert listed(sender) == [(None, "acme.offers", "opted_out")]

    @pytest.mark.parametrize(
        "narrowed, expected",
        [
            ({"scope": "acme.offers"}, {1, 2}),
            ({"scope": "all_marketing"}, {3}),
            ({"reason": "complained"}, {3}),
            ({"reason": "opted_out"}, {1, 2}),
            ({"reason": "paused"}, {4}),
            ({"scope": "acme.offers", "reason": "opted_out"}, {1, 2}),
            ({"scope": "acme.offers", "reason": "complained"}, set()),
            ({"channel": "sms"}, {4}),
            ({"since": START.isoformat()}, {1, 3, 4}),
            ({"since": START.isoformat(), "scope": "acme.offers"}, {1}),
        ],
    )
    @pytest.mark.parametrize("limit", [1, 100])
    def test_it_is_narrowed(
        self, sender: Sender, narrowed: dict[str, str], expected: set[int], limit: int
    ) -> None:
        happen(1)
        happen(2, who=GRACE, at=START - HOUR)
        happen(3, EventKind.COMPLAINED, ALL_MARKETING, MARY)
        happen(4, EventKind.PAUSED, "acme.sms", NUMBER, until=START + HOUR)
        names = {
            1: "ada@example.com",
            2: "grace@example.com",
            3: "mary@example.com",
            4: "+393331234567",
        }
        found = [row[0] for row in listed(sender, **narrowed, limit=limit)]
        assert sorted(map(str, found)) == sorted(names[number] for number in expected)

    def test_what_stands_throughout_is_listed_once_whatever_is_written(
        self, sender: Sender, clock: Clock
    ) -> None:
        people = [parse_address(f"p{n}@example.com", Channel.EMAIL) for n in range(6)]
        for number, who in enumerate(people):
            happen(number + 1, who=who)
        found = []
        for number, page in enumerate(pages(sender, limit=1)):
            found += page
            clock.advance(HOUR)
            happen(100 + number, who=people[number], at=clock.now)  # again: listed already
            happen(200 + number, who=people[-1], at=clock.now)  # again: yet to come
            if number == 2:
                happen(300, EventKind.OPTED_IN, who=people[0], at=clock.now)
                happen(301, EventKind.OPTED_IN, who=people[4], at=clock.now)
        assert [address for address, _, _ in found] == [
            person.exact for person in people if person is not people[4]
        ]

    def test_a_search_that_looks_at_too_much_goes_on_with_the_next_page(
        self, sender: Sender, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(suppressions, "MAX_SCANNED_ROWS", 3)
        for number in range(8):
            happen(number + 1, who=parse_address(f"p{number}@example.com", Channel.EMAIL))
        happen(9, scope="acme.sms", who=NUMBER)
        found = list(pages(sender, channel="sms", limit=1))
        assert [] in found
        assert [row for page in found for row in page] == [
            ("+393331234567", "acme.sms", "opted_out")
        ]

    @pytest.mark.parametrize(
        "query",
        [
            "reason=whim",
            "since=2026-01-01T00:00:00",
            "since=0.5",
            "limit=0",
            "channel=fax",
            "who=ada",
        ],
    )
    def test_a_wrong_parameter_is_named(self, sender: Sender, query: str) -> None:
        answer = sender.client.get(f"/v1/suppressions?{query}", headers=sender.headers)
        assert answer.status_code == 422
        assert answer.get_json()["errors"][0]["parameter"] == query.partition("=")[0]

    def test_a_plus_that_became_a_blank_gets_the_correct_form(self, sender: Sender) -> None:
        query = "since=2026-11-24T09:30:00+01:00"
        answer = sender.client.get(f"/v1/suppressions?{query}", headers=sender.headers)
        assert answer.status_code == 422
        assert "%2B" in answer.get_json()["detail"]


class TestOneAddress:
    def ask(self, sender: Sender, who: Address = ADA) -> dict[str, Any]:
        body = {"address": who.exact, "channel": who.channel}
        answer = sender.post("/v1/suppressions/query", body)
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def test_nothing_is_known_of_most(self, sender: Sender) -> None:
        assert self.ask(sender) == {
            "active_suppressions": [],
            "other_form_suppressed": False,
            "history": [],
        }

    def test_all_events_are_listed_in_order(self, sender: Sender, clock: Clock) -> None:
        happen(1, scope=ALL_MARKETING)
        clock.advance(HOUR)
        happen(2, EventKind.OPTED_IN, at=clock.now)
        shown = self.ask(sender)
        assert shown["active_suppressions"] == [
            {
                "scope": "all_marketing",
                "reason": "opted_out",
                "since": "2026-11-24T09:00:00Z",
                "event": str(UUID(int=1)),
                "exempt_topics": ["acme.offers"],
            }
        ]
        assert [(event["kind"], event["scope"]) for event in shown["history"]] == [
            ("opted_out", "all_marketing"),
            ("opted_in", "acme.offers"),
        ]
        assert not shown["history"][0]["retracted"]

    def test_another_form_is_hinted_at_and_not_revealed(self, sender: Sender) -> None:  # I9
        happen(1, who=parse_address("ada+shop@example.com", Channel.EMAIL))
        assert self.ask(sender) == {
            "active_suppressions": [],
            "other_form_suppressed": True,
            "history": [],
        }

    def test_another_forms_restriction_is_hinted_at_until_that_form_ends_it(
        self, sender: Sender, clock: Clock
    ) -> None:  # I9
        tagged = parse_address("ada+shop@example.com", Channel.EMAIL)
        happen(1, EventKind.RESTRICTED, RESTRICTION, tagged)
        clock.advance(HOUR)
        happen(2, EventKind.OPTED_IN, at=clock.now)
        assert self.ask(sender)["other_form_suppressed"] is True
        happen(3, EventKind.UNRESTRICTED, RESTRICTION, tagged, clock.now)
        assert self.ask(sender)["other_form_suppressed"] is False

    def test_an_own_opt_in_outranks_another_form(self, sender: Sender, clock: Clock) -> None:  # I9
        happen(1, who=parse_address("ada+shop@example.com", Channel.EMAIL))
        clock.advance(HOUR)
        happen(2, EventKind.OPTED_IN, at=clock.now)
        assert self.ask(sender)["other_form_suppressed"] is False

    def test_the_own_no_is_not_another_forms(self, sender: Sender) -> None:
        happen(1)
        assert self.ask(sender)["other_form_suppressed"] is False


class TestLifting:
    def lift(self, sender: Sender, clock: Clock, **fields: Any) -> dict[str, Any]:
        answer = sender.post("/v1/suppressions/lift", self.body(clock, **fields))
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def body(self, clock: Clock, **fields: Any) -> dict[str, Any]:
        given = evidence(occurred_at=clock.now.isoformat())
        return {"address": "ada@example.com", "scope": "acme.offers", "evidence": given} | fields

    @pytest.mark.parametrize(
        "kind, scope",
        [
            (EventKind.OPTED_OUT, "acme.offers"),
            (EventKind.OPTED_OUT, ALL_MARKETING),
            (EventKind.COMPLAINED, ALL_MARKETING),
            (EventKind.BOUNCED, UNDELIVERABLE),
        ],
    )
    @pytest.mark.parametrize("lifted", ["acme.offers", ALL_MARKETING])
    def test_the_persons_newer_act_lifts_what_it_covers(
        self, sender: Sender, clock: Clock, kind: EventKind, scope: str, lifted: str
    ) -> None:  # I5
        happen(1, kind, scope)
        clock.advance(HOUR)
        shown = self.lift(sender, clock, scope=lifted)
        covered = scope != "acme.offers" or lifted == "acme.offers"
        assert sender.ask("offers.weekly", "ada@example.com")["allow"] is covered
        assert shown["lifted"] is (covered or lifted == ALL_MARKETING)

    def test_a_wider_lift_never_lifts_a_topics_own_no(self, sender: Sender, clock: Clock) -> None:
        # I5
        happen(1)
        clock.advance(HOUR)
        self.lift(sender, clock, scope=ALL_MARKETING)
        assert sender.ask("offers.weekly", "ada@example.com")["rule"] == "opted_out_of_topic"

    def test_a_newer_no_stays_active_and_is_reported(
        self, sender: Sender, clock: Clock
    ) -> None:  # I5
        before = clock.now
        clock.advance(HOUR)
        happen(1, at=clock.now)
        given = evidence(occurred_at=before.isoformat())
        shown = self.lift(sender, clock, evidence=given)
        assert (shown["lifted"], shown["rule"]) == (False, "opted_out_of_topic")

    def test_a_restriction_keeps_off_what_was_opted_in_to(
        self, sender: Sender, clock: Clock
    ) -> None:
        happen(1, EventKind.RESTRICTED, RESTRICTION)
        clock.advance(HOUR)
        result = self.lift(sender, clock)
        assert (result["recorded"], result["lifted"], result["rule"]) == (True, False, "restricted")

    def test_of_sale_and_sharing_is_ended_by_a_consent_to_that_alone(
        self, sender: Sender, clock: Clock
    ) -> None:  # I5
        happen(1, scope=SHARING)
        clock.advance(HOUR)
        self.lift(sender, clock, scope=ALL_MARKETING)
        assert sender.ask("offers.weekly", "ada@example.com")["allow"] is True  # I4
        assert len(listed(sender, scope=SHARING)) == 1
        shown = self.lift(sender, clock, scope=SHARING)
        assert (shown["recorded"], shown["lifted"]) == (True, True)

    def test_an_objection_to_marketing_outlasts_an_older_consent_to_sharing(
        self, sender: Sender, clock: Clock
    ) -> None:
        before = evidence(occurred_at=clock.now.isoformat())
        clock.advance(HOUR)
        happen(1, scope=ALL_MARKETING, at=clock.now)
        shown = self.lift(sender, clock, scope=SHARING, evidence=before)
        assert (shown["lifted"], shown["rule"]) == (False, "opted_out_of_all_marketing")

    def test_a_repeat_adds_nothing(self, sender: Sender, clock: Clock) -> None:  # I7
        happen(1)
        clock.advance(HOUR)
        body = self.body(clock)
        assert self.lift(sender, clock)["recorded"] is True
        for minutes in (1, 5):
            clock.advance(timedelta(minutes=minutes))
            again = sender.post("/v1/suppressions/lift", body).get_json()
            assert (again["recorded"], again["lifted"], "event" in again) == (False, True, False)
        happen(2, at=clock.now)
        shown = sender.post("/v1/suppressions/lift", body).get_json()
        assert shown == {"recorded": False, "lifted": False, "rule": "opted_out_of_topic"}
        assert sender.rows("SELECT count(*) FROM event") == [(3,)]

    def test_an_opt_out_dated_between_two_acts_lifts_neither(
        self, sender: Sender, clock: Clock
    ) -> None:  # I5: in whatever order it arrives
        self.lift(sender, clock)
        between = clock.advance(timedelta(minutes=1))
        clock.advance(timedelta(minutes=1))
        assert self.lift(sender, clock)["recorded"]
        happen(1, at=between)
        assert sender.ask("offers.weekly", "ada@example.com")["allow"]

    def test_another_act_is_no_repeat(self, sender: Sender, clock: Clock) -> None:  # I5
        self.lift(sender, clock)
        clock.advance(timedelta(minutes=5))
        assert self.lift(sender, clock, scope=ALL_MARKETING)["recorded"]
        happen(1, at=clock.now)
        clock.advance(timedelta(minutes=5))
        assert self.lift(sender, clock)["lifted"]
        clock.advance(HOUR)
        assert self.lift(sender, clock)["recorded"]

    def test_the_act_is_in_the_ledger_with_its_evidence(self, sender: Sender, clock: Clock) -> None:
        event = self.lift(sender, clock)["event"]
        query = "SELECT id::text, kind, scope, actor FROM event"
        assert sender.rows(query) == [(event, "opted_in", "acme.offers", "key:shop")]
        said = {"source": "checkout", "wording": "Yes, write to me", "language": "en"}
        assert sender.evidence() == [said]

    @pytest.mark.parametrize(
        "fields, pointer, code",
        [
            ({"scope": EVERYTHING}, "/scope", "rule-violation"),
            ({"scope": UNDELIVERABLE}, "/scope", "rule-violation"),
            ({"scope": RESTRICTION}, "/scope", "rule-violation"),
            ({"scope": "acme.nothing"}, "/scope", "unknown-topic"),
            ({"scope": "acme.old"}, "/scope", "rule-violation"),
            ({"scope": "acme.sms"}, "/scope", "wrong-channel"),
            ({"address": "ada@"}, "/address", "invalid-address"),
            ({"evidence": None}, "/evidence", "wrong-type"),
        ],
    )
    def test_what_cannot_be_lifted_is_reported_and_nothing_written(
        self, sender: Sender, clock: Clock, fields: dict[str, Any], pointer: str, code: str
    ) -> None:
        rows = [self.body(clock), self.body(clock, **fields)]
        answer = sender.post("/v1/suppressions/lift", rows)
        assert answer.status_code == 422
        [fault] = answer.get_json()["errors"]
        assert (fault["pointer"], fault["code"]) == (f"/1{pointer}", code)
        assert sender.rows("SELECT FROM event") == []

    def test_evidence_that_names_the_person_is_refused(self, sender: Sender, clock: Clock) -> None:
        given = evidence(source="mail of ada@example.com")  # I8
        answer = sender.post("/v1/suppressions/lift", self.body(clock, evidence=given))
        assert answer.status_code == 422
        assert [fault["pointer"] for fault in answer.get_json()["errors"]] == ["/evidence"]


@pytest.mark.parametrize(
    "method, path, scope",
    [("GET", "", "read"), ("POST", "/query", "read"), ("POST", "/lift", "lift")],
)
def test_each_needs_its_scope(in_force: Flask, method: str, path: str, scope: str) -> None:
    others = {"check", "write", "lift", "links", "portal", "read"} - {scope}
    sender = make_sender(in_force, scopes=sorted(others))
    answer = sender.client.open(
        f"/v1/suppressions{path}", method=method, json={}, headers=sender.headers
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/v1/suppressions/query", "/v1/consents/query"])
def test_a_query_about_a_person_is_a_recorded_access(app: Flask, sender: Sender, path: str) -> None:
    answer = sender.post(path, {"address": "ada@example.com"})
    assert answer.status_code == 200
    with app.app_context():
        looks = run_in_transaction(lambda c: list_person_accesses(c, services().keys, ADA))
    assert [(look.actor, look.reason) for look in looks] == [("key:shop", "key_query")]
    assert sender.rows("SELECT actor, action FROM audit") == [("key:shop", "person_viewed")]
