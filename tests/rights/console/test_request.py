"""One request: what is shown of it, its steps, and who may take them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from preference_center.core.staff import Role
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import Agent
from preference_center.rights.rules.requests import (
    Extent,
    IdentityLevel,
    RefusalGround,
    RequestKind,
    RequestState,
    RequestVia,
)
from tests.rights.asking import ADA, NUMBER
from tests.rights.console.asking import SCRIPT, actions, ask, load, rows
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

PROVEN = IdentityLevel.CONTACT


def url(request: RightsRequest, page: str = "") -> str:
    return f"/console/requests/{request.id}{page}"


def decide(who: Staff, request: RightsRequest) -> TestResponse:
    """Press the button of the page that shows what is proposed."""
    page = who.get(url(request, "/decide")).get_data(as_text=True)
    shown = re.search(r'name="proposal" value="([^"]+)"', page)
    return who.post(url(request, "/decide"), proposal=shown[1] if shown else "")


def test_what_was_written_is_shown_by_a_recorded_look_and_as_text(app: Flask) -> None:
    asked = ask(app, RequestKind.COMPLAINT, text=f"I am Ada {SCRIPT}")
    grace = staff(app, Role.SUPPORT)
    assert "I am Ada" not in words(grace.get(url(asked)))
    assert ("console:grace", "text_read") not in actions(app, asked)
    answer = grace.post(url(asked, "/words"))
    html = answer.get_data(as_text=True)
    assert "I am Ada &lt;script&gt;" in html
    assert SCRIPT not in html
    assert ("console:grace", "text_read") in actions(app, asked)


def test_the_name_of_an_agent_is_text(app: Flask) -> None:
    agent = Agent("Data <b onclick=x>Rights", "post@agents.example")
    asked = ask(app, RequestKind.ACCESS, via=RequestVia.AGENT, agent=agent)
    html = staff(app, Role.COMPLIANCE).get(url(asked)).get_data(as_text=True)
    assert "Data &lt;b onclick=x&gt;Rights" in html


def test_no_page_has_the_address_in_its_text_or_title(app: Flask) -> None:  # I12
    asked = ask(app, RequestKind.CORRECT, level=PROVEN)
    html = staff(app, Role.COMPLIANCE).get(url(asked)).get_data(as_text=True)
    assert "ada@example.com" not in html
    assert f"<title>{asked.reference}" in html


def test_support_proves_identity_by_facts_and_no_answer_is_stored(app: Flask) -> None:
    asked = ask(app, RequestKind.CLOSE)
    grace = staff(app, Role.SUPPORT)
    grace.post(url(asked, "/identity"), result="asked")
    assert load(app, asked).state is RequestState.IDENTIFYING
    form = {"result": "confirmed", "proof": "recent_dealings", "facts": ["last_order"]}
    answer = grace.post(url(asked, "/identity"), **form)
    assert answer.status_code == 303
    shown = words(grace.get(url(asked)))
    assert "identity of the account’s holder, Last order" in shown
    assert ("console:grace", "identity_confirmed") in actions(app, asked)


def test_the_third_failed_check_refuses_it_by_the_rule_alone(app: Flask) -> None:
    asked = ask(app, RequestKind.CLOSE)
    grace = staff(app, Role.SUPPORT)
    for _ in range(3):
        assert grace.post(url(asked, "/identity"), result="failed").status_code == 303
    assert load(app, asked).refusal is RefusalGround.NOT_IDENTIFIED
    late = grace.post(url(asked, "/identity"), result="failed")
    assert late.status_code == 422
    assert "closed" in words(late)


def test_a_form_with_a_gap_says_what_to_fix(app: Flask) -> None:
    asked, grace = ask(app, RequestKind.CLOSE), staff(app, Role.SUPPORT)
    for form in ({}, {"result": "confirmed"}, {"result": "x"}):
        answer = grace.post(url(asked, "/identity"), **form)
        assert answer.status_code == 422
        assert "Choose one of the list" in words(answer)


def test_only_compliance_extends_and_once(app: Flask) -> None:
    asked = ask(app, RequestKind.CORRECT, level=PROVEN)
    assert staff(app, Role.SUPPORT).post(url(asked, "/extend")).status_code == 403
    ada = staff(app, Role.COMPLIANCE, name="ada")
    assert "24 Feb 2027" in words(ada.get(url(asked, "/extend")))
    assert ada.post(url(asked, "/extend"), reason="complex").status_code == 303
    assert "extended to 24 Feb 2027" in words(ada.get(url(asked)))
    assert ada.post(url(asked, "/extend"), reason="complex").status_code == 422


def test_one_person_of_compliance_restricts(app: Flask) -> None:
    asked = ask(app, RequestKind.OBJECT, text="Stop, and tell me that you did")
    ada = staff(app, Role.COMPLIANCE, name="ada")
    assert staff(app, Role.SUPPORT).post(url(asked, "/fulfil")).status_code == 403
    assert ada.post(url(asked, "/fulfil"), outcome="fulfilled").status_code == 303
    assert actions(app, asked)[-1] == ("console:ada", "done")


class TestFourEyes:
    def erasure(self, app: Flask) -> RightsRequest:
        return ask(app, RequestKind.ERASE, extent=Extent.ACCOUNT, level=PROVEN)

    def test_support_proposes_and_compliance_refuses(self, app: Flask) -> None:
        asked = self.erasure(app)
        grace, ada = staff(app, Role.SUPPORT), staff(app, Role.COMPLIANCE, name="ada")
        assert grace.post(url(asked, "/refuse"), ground="claims").status_code == 303
        assert "grace proposes to refuse it" in words(ada.get(url(asked)))
        waiting = words(ada.get("/console/requests?stage=second_person"))
        assert "1 waits for a second person" in waiting
        assert asked.reference in waiting
        assert decide(grace, asked).status_code == 403
        assert decide(ada, asked).status_code == 303
        assert load(app, asked).state is RequestState.REFUSED

    def test_nobody_refuses_by_leaving_a_default(self, app: Flask) -> None:
        asked, grace = self.erasure(app), staff(app, Role.SUPPORT)
        page = grace.get(url(asked, "/refuse")).get_data(as_text=True)
        assert re.search(r'<select id="ground" name="ground" required>\s*<option value="">', page)
        assert "selected" not in page
        assert grace.post(url(asked, "/refuse"), ground="").status_code == 422
        assert load(app, asked).is_open

    def test_the_erasure_of_several_addresses_has_one_heading(self, app: Flask) -> None:
        both = (ADA, NUMBER)
        asked = ask(app, RequestKind.ERASE, extent=Extent.ACCOUNT, level=PROVEN, addresses=both)
        grace, ada = staff(app, Role.SUPPORT), staff(app, Role.COMPLIANCE, name="ada")
        grace.post(url(asked, "/propose"), outcome="fulfilled")
        assert decide(ada, asked).status_code == 303
        assert rows(app, "SELECT count(*) FROM erasure") == [(2,)]
        page = ada.get(url(asked)).get_data(as_text=True)
        assert page.count("<h2>The erasure</h2>") == 1

    def test_nobody_decides_on_their_own_proposal(self, app: Flask) -> None:
        asked, ada = self.erasure(app), staff(app, Role.COMPLIANCE, name="ada")
        assert ada.post(url(asked, "/propose"), outcome="fulfilled").status_code == 303
        assert "another person of compliance has to decide" in words(ada.get(url(asked)))
        answer = decide(ada, asked)
        assert answer.status_code == 422
        assert "another person has to decide" in words(answer)
        assert rows(app, "SELECT count(*) FROM erasure") == [(0,)]

    def test_nobody_erases_without_a_proposal(self, app: Flask) -> None:
        asked, ada = self.erasure(app), staff(app, Role.COMPLIANCE, name="ada")
        for page in ("/fulfil", "/decide"):
            assert ada.post(url(asked, page), outcome="fulfilled").status_code == 422
        assert rows(app, "SELECT count(*) FROM erasure") == [(0,)]

    def test_another_person_erases(self, app: Flask) -> None:
        asked = self.erasure(app)
        grace, ada = staff(app, Role.SUPPORT), staff(app, Role.COMPLIANCE, name="ada")
        grace.post(url(asked, "/propose"), outcome="fulfilled")
        assert decide(ada, asked).status_code == 303
        assert rows(app, "SELECT count(*) FROM address WHERE erased_at IS NOT NULL") == [(1,)]
        shown = words(ada.get(url(asked)))
        assert "nobody any more" in shown
        assert "The erasure" in shown

    def test_a_closed_request_offers_nothing_of_its_proposal_and_takes_no_press(
        self, app: Flask
    ) -> None:
        asked = self.erasure(app)
        grace, ada = staff(app, Role.COMPLIANCE), staff(app, Role.COMPLIANCE, name="ada")
        grace.post(url(asked, "/propose"), outcome="fulfilled")
        shown = re.search(r'name="proposal" value="([^"]+)"', grace.get(url(asked, "/decide")).text)
        assert shown
        assert decide(ada, asked).status_code == 303
        taken = actions(app, asked)
        for who in (grace, ada):
            page = who.get(url(asked)).get_data(as_text=True)
            for press in ("/decide", "/decline", "/propose", "/refuse", "proposes to"):
                assert press not in page
            who.post(url(asked, "/decline"))
            assert who.post(url(asked, "/decide"), proposal=shown[1]).status_code == 422
        assert actions(app, asked) == taken

    def test_a_press_decides_on_what_its_page_showed(self, app: Flask) -> None:
        asked = self.erasure(app)
        grace, ada = staff(app, Role.SUPPORT), staff(app, Role.COMPLIANCE, name="ada")
        grace.post(url(asked, "/refuse"), ground="claims")
        page = ada.get(url(asked, "/decide")).get_data(as_text=True)
        (shown,) = re.findall(r'name="proposal" value="([^"]+)"', page)
        grace.post(url(asked, "/decline"))
        grace.post(url(asked, "/propose"), outcome="fulfilled")
        answer = ada.post(url(asked, "/decide"), proposal=shown)
        assert answer.status_code == 422
        assert "Something else is proposed now" in words(answer)
        assert "grace proposes to fulfil it" in words(answer)
        assert rows(app, "SELECT count(*) FROM erasure") == [(0,)]

    def test_support_takes_back_its_own_proposal_and_no_other(self, app: Flask) -> None:
        asked = self.erasure(app)
        grace, eve = staff(app, Role.SUPPORT), staff(app, Role.SUPPORT, name="eve")
        grace.post(url(asked, "/propose"), outcome="fulfilled")
        assert "Decline it" not in words(eve.get(url(asked)))
        assert eve.post(url(asked, "/decline")).status_code == 403
        assert "Take it back" in words(grace.get(url(asked)))
        assert grace.post(url(asked, "/decline")).status_code == 303
        assert actions(app, asked)[-1] == ("console:grace", "decision_declined")

    def test_a_declined_proposal_is_off(self, app: Flask) -> None:
        asked = self.erasure(app)
        grace, ada = staff(app, Role.SUPPORT), staff(app, Role.COMPLIANCE, name="ada")
        grace.post(url(asked, "/refuse"), ground="claims")
        ada.post(url(asked, "/decline"))
        assert "Propose to refuse" in words(ada.get(url(asked)))
        assert decide(ada, asked).status_code == 422

    @pytest.mark.parametrize(
        "page, form, state",
        [
            ("/propose", {}, RequestState.DONE),
            ("/refuse", {"ground": "unfounded"}, RequestState.REFUSED),
        ],
    )
    def test_two_people_decide_on_a_report_of_a_minor(
        self, app: Flask, page: str, form: dict[str, str], state: RequestState
    ) -> None:
        report = ask(app, RequestKind.MINOR)
        staff(app, Role.SUPPORT).post(url(report, page), **form)
        assert load(app, report).state is RequestState.OPEN
        decide(staff(app, Role.COMPLIANCE, name="ada"), report)
        assert load(app, report).state is state


def test_a_request_that_is_not_there_is_not_found(app: Flask) -> None:
    path = "/console/requests/00000000-0000-0000-0000-000000000000"
    assert staff(app, Role.SUPPORT).get(path).status_code == 404
