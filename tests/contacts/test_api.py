"""`/v1/contacts`: who may say what of whom, what is answered, what is refused."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.clock import START, Clock
from tests.web.api.sender import Sender, evidence, make_sender

if TYPE_CHECKING:
    from flask import Flask

ADA = {"external_id": "c-1", "locale": "it", "addresses": [{"address": "Ada@Example.com"}]}
GRACE = {"external_id": "c-2", "addresses": [{"address": "grace@example.com"}]}
NUMBER = {"address": "+39 333 1234567", "channel": "sms"}


@pytest.fixture
def sender(in_force: Flask) -> Sender:
    """A sender that may write, lift and read."""
    return make_sender(in_force, scopes=("check", "write", "lift", "read", "rights"))


def post(sender: Sender, path: str, body: Any) -> Any:
    answer = sender.post(f"/v1/contacts{path}", body)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def faults(sender: Sender, path: str, body: Any) -> list[tuple[str, str]]:
    answer = sender.post(f"/v1/contacts{path}", body)
    assert answer.status_code == 422, answer.text
    return [(fault["pointer"], fault["code"]) for fault in answer.get_json()["errors"]]


def rules(sender: Sender, path: str, message_type: str, *people: str) -> list[str]:
    if path.endswith("stream"):
        body = "".join(f'"{each}"\n' for each in people).encode()
        url = f"{path}?message_type={message_type}"
        answer = sender.post_raw(url, body, **{"Content-Type": "application/x-ndjson"})
        rows = [json.loads(line) for line in answer.text.splitlines()][:-1]
    else:
        asked = {"message_type": message_type, "recipients": people}
        rows = sender.post(path, asked).get_json()["decisions"]
    return [row["rule"] for row in rows]


def events(sender: Sender) -> list[tuple[Any, ...]]:
    rows = sender.rows("SELECT kind, scope, actor FROM event ORDER BY seq")
    return [(*row, evidence) for row, evidence in zip(rows, sender.evidence(), strict=True)]


def test_a_contact_is_made_and_found_again(sender: Sender) -> None:
    made = post(sender, "", ADA)
    assert made == {"contact": made["contact"], "account": "open", "recorded": True}
    assert post(sender, "", ADA) == made | {"recorded": False}
    post(sender, "", {"external_id": "c-1", "addresses": [NUMBER]})
    assert post(sender, "/query", {"address": "ada@example.com"}) == {
        "contact": made["contact"],
        "account": "open",
        "locale": "it",
        "external_ids": ["c-1"],
        "addresses": [
            {"channel": "email", "address": "ada@example.com"},
            {"channel": "sms", "address": "+393331234567"},
        ],
    }
    for named in ({"contact": made["contact"]}, {"external_id": "c-1"}, NUMBER):
        assert post(sender, "/query", named)["contact"] == made["contact"]


def test_each_query_of_a_contact_is_one_recorded_access(sender: Sender) -> None:
    made = post(sender, "", ADA | {"addresses": [*ADA["addresses"], NUMBER]})
    for named in ({"contact": made["contact"]}, {"external_id": "c-1"}, NUMBER):
        post(sender, "/query", named)
    looks = sender.rows("SELECT actor, reason, channel FROM person_access ORDER BY audit_id")
    assert looks == [("key:shop", "key_query", channel) for channel in ("email", "email", "sms")]


def test_a_batch_is_answered_in_its_order(sender: Sender) -> None:
    one, two, again = post(sender, "", [ADA, GRACE, ADA])
    assert one["contact"] == again["contact"] != two["contact"]


def test_nothing_of_a_batch_is_written_if_one_row_is_wrong_and_every_error_is_reported(
    sender: Sender,
) -> None:
    post(sender, "", [ADA, GRACE])
    mary = {"external_id": "c-3", "addresses": [{"address": "mary@example.com"}]}
    claim = {"external_id": "c-2", "addresses": [NUMBER, {"address": "ada@example.com"}]}
    renamed = {"external_id": "c-9", "addresses": GRACE["addresses"]}
    assert faults(sender, "", [mary, claim, renamed]) == [
        ("/1/addresses/1", "address-conflict"),
        ("/2/external_id", "external-id-conflict"),
    ]
    wrong = {"external_id": "c-4", "addresses": [{"address": "mary@"}]}
    assert faults(sender, "", [mary, wrong]) == [("/1/addresses/0/address", "invalid-address")]
    assert faults(sender, "", {"locale": "it"}) == [("", "invalid-value")]
    missing = sender.post("/v1/contacts/query", {"external_id": "c-3"})
    assert missing.get_json()["type"].endswith("/problems/unknown-contact")


def test_a_conflict_of_one_row_is_a_problem_of_its_own(sender: Sender) -> None:
    post(sender, "", [ADA, GRACE])
    answer = sender.post("/v1/contacts", ADA | {"addresses": GRACE["addresses"]})
    assert answer.get_json()["type"].endswith("/problems/address-conflict")
    assert "grace" not in answer.text  # I12


@pytest.mark.parametrize(
    "body", [{}, {"external_id": "c-1", "address": "ada@example.com"}, {"contact": "no uuid"}]
)
def test_a_contact_is_named_once(sender: Sender, body: dict[str, str]) -> None:
    assert faults(sender, "/query", body)


class TestClosing:
    def test_a_closed_account_gets_no_service_mail(self, sender: Sender) -> None:  # I4
        post(sender, "", ADA)
        closed = post(sender, "/deactivate", {"external_id": "c-1"})
        assert (closed["account"], closed["recorded"]) == ("deactivated", True)
        assert sender.ask("invoice", "ada@example.com")["rule"] == "closed"
        assert post(sender, "/deactivate", {"external_id": "c-1"})["recorded"] is False
        assert len(events(sender)) == 2

    @pytest.mark.parametrize("path", ["/v1/decisions", "/v1/decisions/stream"])
    @pytest.mark.parametrize(
        "closed, other",
        [
            pytest.param("jo+2@example.org", "jo@example.org", id="a tag"),
            pytest.param("jo@example.org", "jo+2@example.org", id="the mailbox of a tag"),
            pytest.param("j.o@gmail.com", "jo@gmail.com", id="a spelling"),
        ],
    )
    def test_another_contact_with_a_form_of_the_same_mailbox_gets_service_mail(
        self, sender: Sender, clock: Clock, path: str, closed: str, other: str
    ) -> None:  # I4; marketing goes on matching wide (I9)
        post(sender, "", {"external_id": "c-1", "addresses": [{"address": closed}]})
        post(sender, "", {"external_id": "c-2", "addresses": [{"address": other}]})
        post(sender, "/deactivate", {"external_id": "c-1"})
        assert rules(sender, path, "invoice", closed, other) == ["closed", "service"]
        offers = rules(sender, path, "offers.weekly", closed, other)
        assert offers == ["closed", "opted_out_of_all_marketing"]
        clock.advance(timedelta(hours=1))
        given = evidence(occurred_at=clock.now.isoformat())
        sender.consent(other, "acme.offers", own_act=True, evidence=given)
        assert rules(sender, path, "offers.weekly", other) == ["consented"]
        post(sender, "/reopen", {"external_id": "c-1", "evidence": given})
        assert rules(sender, path, "invoice", closed, other) == ["service", "service"]

    def test_many_are_closed_at_once_or_none(self, sender: Sender) -> None:
        post(sender, "", [ADA, GRACE])
        rows = [{"external_id": "c-1"}, {"external_id": "c-404"}, {"address": "x"}]
        assert faults(sender, "/deactivate", rows) == [("/2/address", "invalid-address")]
        assert faults(sender, "/deactivate", rows[:2]) == [("/1", "unknown-contact")]
        assert events(sender) == []
        rows = [{"external_id": "c-1"}, {"address": "grace@example.com"}]
        assert [row["account"] for row in post(sender, "/deactivate", rows)] == ["deactivated"] * 2

    def test_a_time_in_the_future_is_refused(self, sender: Sender) -> None:
        late = (START + timedelta(days=1)).isoformat()
        body = {"address": "ada@example.com", "received_at": late}
        assert faults(sender, "/deactivate", body) == [("/received_at", "rule-violation")]


class TestReopening:
    def reopening(self, clock: Clock, **more: Any) -> dict[str, Any]:
        given = evidence(occurred_at=clock.now.isoformat())
        return {"external_id": "c-1", "evidence": given} | more

    def test_service_mail_flows_again_and_marketing_stays_off(
        self, sender: Sender, clock: Clock
    ) -> None:  # I6
        post(sender, "", ADA)
        post(sender, "/deactivate", {"external_id": "c-1"})
        clock.advance(timedelta(hours=1))
        opened = post(sender, "/reopen", self.reopening(clock))
        assert (opened["account"], opened["recorded"]) == ("open", True)
        assert sender.ask("invoice", "ada@example.com")["allow"]
        assert (
            sender.ask("offers.weekly", "ada@example.com")["rule"] == "opted_out_of_all_marketing"
        )
        assert events(sender)[-1] == (
            "reopened",
            "everything",
            "key:shop",
            {"source": "checkout", "wording": "Yes, write to me", "language": "en"},
        )

    def test_what_the_person_did_before_closing_opens_nothing(
        self, sender: Sender, clock: Clock
    ) -> None:  # I5
        post(sender, "", ADA)
        post(sender, "", {"external_id": "c-1", "addresses": [{"address": "ada@work.example"}]})
        stale = self.reopening(clock)
        clock.advance(timedelta(hours=1))
        post(sender, "/deactivate", {"external_id": "c-1"})
        assert faults(sender, "/reopen", [stale]) == [("/0/evidence", "rule-violation")]
        assert sender.ask("invoice", "ada@example.com")["rule"] == "closed"

    def test_without_evidence_nothing_is_opened(self, sender: Sender) -> None:
        assert faults(sender, "/reopen", {"external_id": "c-1"}) == [("/evidence", "missing-field")]


class TestRestricting:
    def test_marketing_stops_and_service_mail_flows(self, sender: Sender) -> None:  # I4
        made = post(sender, "", ADA)
        restricted = post(sender, "/restrict", {"external_id": "c-1"})
        assert restricted == {
            "contact": made["contact"],
            "account": "open",
            "restricted_at": START.isoformat(),
            "recorded": True,
        }
        assert post(sender, "/restrict", {"external_id": "c-1"})["recorded"] is False  # I7
        assert sender.ask("offers.weekly", "ada+x@example.com")["rule"] == "restricted"  # I9
        assert sender.ask("invoice", "ada@example.com")["allow"]
        found = post(sender, "/query", {"external_id": "c-1"})
        assert datetime.fromisoformat(found["restricted_at"]) == START

    def test_the_person_ends_it(self, sender: Sender, clock: Clock) -> None:
        post(sender, "/restrict", {"address": "ada@example.com"})
        clock.advance(timedelta(hours=1))
        given = evidence(occurred_at=clock.now.isoformat())
        body = {"address": "ada@example.com", "evidence": given}
        ended = post(sender, "/unrestrict", body)
        assert (ended["recorded"], "restricted_at" in ended) == (True, False)
        assert post(sender, "/unrestrict", body)["recorded"] is False
        assert sender.ask("offers.weekly", "ada@example.com")["rule"] == "not_opted_out"

    def test_the_company_ends_it_seven_days_after_a_notice(
        self, sender: Sender, clock: Clock
    ) -> None:
        post(sender, "/restrict", {"address": "ada@example.com"})
        clock.advance(timedelta(hours=1))
        body = {"address": "ada@example.com", "notice_sent_at": clock.now.isoformat()}
        assert faults(sender, "/unrestrict", body) == [("/notice_sent_at", "rule-violation")]
        clock.advance(timedelta(days=7))
        assert post(sender, "/unrestrict", body)["recorded"]

    def test_one_proof_is_needed(self, sender: Sender) -> None:
        post(sender, "", ADA)
        both = {"evidence": evidence(), "notice_sent_at": START.isoformat()}
        for proof in ({}, both):
            assert faults(sender, "/unrestrict", {"external_id": "c-1"} | proof) == [
                ("", "invalid-value")
            ]

    def test_many_are_restricted_at_once_or_none(self, sender: Sender) -> None:
        post(sender, "", [ADA, GRACE])
        rows = [{"external_id": "c-1"}, {"external_id": "c-404"}]
        assert faults(sender, "/restrict", rows) == [("/1", "unknown-contact")]
        assert events(sender) == []
        rows = [{"external_id": "c-1"}, {"address": "grace@example.com"}]
        assert [row["recorded"] for row in post(sender, "/restrict", rows)] == [True, True]


class TestMerging:
    def test_two_become_one(self, sender: Sender) -> None:
        one, two = post(sender, "", [ADA, GRACE])
        body = {"merge": {"external_id": "c-1"}, "into": {"address": "grace@example.com"}}
        merged = post(sender, "/merge", body)
        assert merged == two | {"recorded": True}
        assert post(sender, "/merge", body)["recorded"] is False
        found = post(sender, "/query", {"contact": one["contact"]})
        assert found["external_ids"] == ["c-1", "c-2"]
        post(sender, "", ADA | {"addresses": GRACE["addresses"]})  # no conflict any more

    def test_who_is_unknown_is_named(self, sender: Sender) -> None:
        body = [{"merge": {"external_id": "c-1"}, "into": {"external_id": "c-2"}}]
        assert faults(sender, "/merge", body) == [
            ("/0/merge", "unknown-contact"),
            ("/0/into", "unknown-contact"),
        ]


@pytest.mark.parametrize(
    "path, body, scope",
    [
        ("", ADA, "write"),
        ("/query", {"external_id": "c-1"}, "read"),
        ("/deactivate", {"external_id": "c-1"}, "write"),
        ("/reopen", {"external_id": "c-1", "evidence": evidence()}, "lift"),
        ("/restrict", {"external_id": "c-1"}, "rights"),
        ("/unrestrict", {"external_id": "c-1", "evidence": evidence()}, "rights"),
        ("/merge", {"merge": {"external_id": "c-1"}, "into": {"external_id": "c-2"}}, "write"),
    ],
)
def test_each_needs_its_scope(in_force: Flask, path: str, body: Any, scope: str) -> None:
    others = {"check", "write", "lift", "links", "portal", "read", "rights"} - {scope}
    sender = make_sender(in_force, scopes=sorted(others))
    answer = sender.post(f"/v1/contacts{path}", body)
    assert answer.status_code == 403
    assert scope in answer.get_json()["detail"]


@pytest.mark.parametrize("closed_before", [False, True])
def test_a_repeat_under_one_key_is_answered_alike_and_done_once(
    sender: Sender, *, closed_before: bool
) -> None:  # I7
    post(sender, "", ADA)
    if closed_before:
        post(sender, "/deactivate", {"external_id": "c-1"})
    headers = sender.headers | {"Idempotency-Key": "7f0f7f36-4b51-4b0e-8f6c-2f3f5d0b5a10"}
    answers = [
        sender.client.post("/v1/contacts/deactivate", json={"external_id": "c-1"}, headers=headers)
        for _ in range(2)
    ]
    assert answers[0].get_json() == answers[1].get_json()
    assert answers[0].get_json()["recorded"] is not closed_before
    assert "Idempotent-Replayed" in answers[1].headers
    assert len(events(sender)) == 2


def test_whoever_changed_a_contact_is_in_the_audit(sender: Sender) -> None:  # I12
    made = post(sender, "", ADA)
    post(sender, "/deactivate", {"external_id": "c-1"})
    assert sender.rows("SELECT actor, action, detail FROM audit ORDER BY id") == [
        ("key:shop", action, {"contacts": [made["contact"]]})
        for action in ("contacts.upserted", "contacts.deactivated")
    ]
