"""clients/contract.json agrees with the service; each client's own tests hold it to the client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from preference_center.core.links.offline import LinkMinter
from preference_center.decisions.rules import DecisionRule
from preference_center.web.api.problems import PROBLEMS
from tests.clients.contract import CONTRACT

LINKS = CONTRACT["links"]
RETRIED = {408, 429, 500, 502, 503, 504}


@pytest.mark.parametrize("made", LINKS["made"])
def test_its_links_are_those_that_the_file_for_senders_makes(made: dict[str, Any]) -> None:
    minter = LinkMinter(LINKS["keys"][made["key"]], lambda: float(made["at"]))
    links = minter.mint(made["address"], made["topic"], made["message_id"])
    assert links.unsubscribe_url == made["unsubscribe_url"]
    assert links.preferences_url == made["preferences_url"]
    assert links.headers == made["headers"]


def test_its_links_cover_every_part_of_a_link() -> None:
    values = [made["headers"]["List-Unsubscribe"] for made in LINKS["made"]]
    assert {"mailto" in value for value in values} == {True, False}
    assert {made["topic"] for made in LINKS["made"]} == set(LINKS["topics"])


@pytest.mark.parametrize("refused", LINKS["refused"])
def test_what_it_refuses_the_file_for_senders_refuses(refused: dict[str, Any]) -> None:
    says = {"topic": "for that topic", "message_id": "printable", "address": "one bare|internat"}
    minter = LinkMinter(LINKS["keys"]["with_mail"])
    with pytest.raises(ValueError, match=says[refused["because"]]):
        minter.mint(refused["address"], refused["topic"], refused["message_id"])


@pytest.mark.parametrize("text", LINKS["not_keys"])
def test_what_it_calls_no_key_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a link key"):
        LinkMinter(text)


def test_clients_repeat_what_the_service_may_answer_later() -> None:
    """Every status with Retry-After, the one that says "try again", and those of proxies."""
    repeated = {case["status"] for case in CONTRACT["retries"]["cases"] if case["wait"]}
    given_up = {case["status"] for case in CONTRACT["retries"]["cases"] if case["attempt"] == 1}
    assert repeated == {None, *RETRIED}
    assert {problem.status for problem in PROBLEMS.values()} <= repeated | given_up


def test_no_wait_is_longer_than_what_is_left_of_the_call() -> None:
    for case in CONTRACT["retries"]["cases"]:
        assert case["wait"] is None or case["wait"][1] < case["seconds_left"]


def test_only_service_messages_are_sent_without_a_decision() -> None:  # I4, I11
    cases = CONTRACT["unanswered"]["cases"]
    assert {case["service"] for case in cases} == {"allow"}
    assert {case["marketing"] for case in cases} == {"deny", "error"}
    denied = {case["failure"] for case in cases if case["marketing"] == "deny"}
    assert denied >= (RETRIED - {408}) | {"no_connection", "time_out", "unreadable"}


def test_its_decisions_about_service_messages_are_those_of_the_service() -> None:  # I4
    cases = {DecisionRule(case["rule"]): case["allow"] for case in CONTRACT["answered"]["cases"]}
    assert cases == {
        DecisionRule.CLOSED: False,
        DecisionRule.AFTER_CLOSING: True,
        DecisionRule.SERVICE: True,
    }


def test_its_rule_is_none_that_the_service_has() -> None:
    assert CONTRACT["unanswered"]["rule"] not in list(DecisionRule)


def test_its_dates_are_what_they_say() -> None:
    now = {case["now"] for case in CONTRACT["retries"]["cases"] if "now" in case}
    assert now == {int(datetime(2026, 11, 1, 8, 30, tzinfo=UTC).timestamp())}
