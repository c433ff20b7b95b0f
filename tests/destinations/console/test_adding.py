"""Adding a destination: its kind, settings, topics and a preview, and only then it is stored."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.core.events import EventKind
from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from tests.destinations.commands import say, stored
from tests.integrations.tools.sendgrid import KEY, SendGridStandIn
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

ADD = "/console/window/add_destination"


@pytest.fixture
def operator(app: Flask) -> Staff:
    return staff(app, Role.OPERATOR)


def draft_of(response: TestResponse) -> str:
    found = re.search(r'name="draft" value="([^"]+)"', response.get_data(as_text=True))
    assert found
    return unescape(found[1])


def settings(sendgrid: SendGridStandIn, **given: str) -> dict[str, Any]:
    fields = {"api_key": sendgrid.key, "base_url": sendgrid.url} | given
    return {f"setting:{name}": value for name, value in fields.items()}


def enter(
    who: Staff, sendgrid: SendGridStandIn, name: str = "mailer", **given: str
) -> TestResponse:
    begun = draft_of(who.get(f"{ADD}/settings?kind=sendgrid"))
    return who.post(f"{ADD}/settings", draft=begun, name=name, **settings(sendgrid, **given))


def test_a_tool_is_added_in_observation_after_a_preview(
    app: Flask, operator: Staff, sendgrid: SendGridStandIn
) -> None:
    say(app, EventKind.OPTED_OUT, "jane@example.com")
    say(app, EventKind.OPTED_OUT, "paul@example.com")
    topics = enter(operator, sendgrid)
    assert "Offers (12)" in words(topics)
    fields = {"target:acme.offers": "12"}
    preview = operator.post(f"{ADD}/topics", draft=draft_of(topics), **fields)
    assert "Addresses that would be turned off there: 2." in words(preview)
    assert "acme.offers 2" in words(preview)
    assert stored(app) == 0
    added = operator.post(f"{ADD}/store", draft=draft_of(preview))
    assert added.headers["Location"] == "/console/window/mailer"
    page = operator.get("/console/window/mailer")
    assert "observed Nothing is pushed yet" in words(page)
    assert "Pending 2" in words(page)
    assert "set, and not shown" in words(page)
    with app.app_context():
        actors = run_in_transaction(
            lambda c: c.execute(
                "SELECT actor FROM audit WHERE action = 'destination.added'"
            ).fetchall()
        )
    assert actors == [("console:grace",)]


def test_no_page_has_the_secret_in_it(
    app: Flask, operator: Staff, sendgrid: SendGridStandIn
) -> None:  # I12
    topics = enter(operator, sendgrid)
    wrong = operator.post(f"{ADD}/topics", draft=draft_of(topics), **{"target:acme.offers": "77"})
    right = operator.post(f"{ADD}/topics", draft=draft_of(topics), **{"target:acme.offers": "12"})
    back = operator.post(f"{ADD}/settings", draft=draft_of(right), back="1")
    operator.post(f"{ADD}/store", draft=draft_of(right))
    changing = operator.get("/console/window/mailer/settings")
    shown = operator.get("/console/window/mailer")
    for page in (topics, wrong, right, back, changing, shown):
        assert KEY not in page.get_data(as_text=True)
    assert "It is set; leave this empty to keep it if you change nothing." in words(back)


def test_a_secret_that_is_left_empty_on_the_way_back_is_kept(
    operator: Staff, sendgrid: SendGridStandIn
) -> None:
    topics = enter(operator, sendgrid)
    again = operator.post(
        f"{ADD}/settings", draft=draft_of(topics), name="other", **settings(sendgrid, api_key="")
    )
    assert "Topics of other" in words(again)
    changed = operator.post(
        f"{ADD}/settings",
        draft=draft_of(again),
        name="other",
        **settings(sendgrid, api_key="", rate="5 per second"),
    )
    assert "Enter it again" in words(changed)


@pytest.mark.parametrize(
    "name, given, text",
    [
        ("mailer", {"api_key": ""}, "Fill this in."),
        ("mailer", {"api_key": "revoked"}, "check the API key and its rights"),
        ("Über uns", {}, "write the name with a-z, 0-9 and - only"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_stored(
    app: Flask, operator: Staff, sendgrid: SendGridStandIn, name: str, given: Any, text: str
) -> None:
    answer = enter(operator, sendgrid, name, **given)
    assert answer.status_code == 422
    assert text in words(answer)
    assert f'value="{name}"' in answer.get_data(as_text=True)
    assert stored(app) == 0


def test_a_missing_setting_is_marked_at_its_field(
    operator: Staff, sendgrid: SendGridStandIn
) -> None:
    html = enter(operator, sendgrid, api_key="").get_data(as_text=True)
    field = html[html.index('id="setting:api_key"') :]
    assert 'aria-invalid="true"' in field[: field.index(">")]


def test_a_target_that_two_topics_share_is_refused_with_the_remedy(
    app: Flask, operator: Staff, sendgrid: SendGridStandIn
) -> None:  # I10
    topics = enter(operator, sendgrid)
    fields = {"target:acme.offers": "12", "target:acme.news": "12"}
    answer = operator.post(f"{ADD}/topics", draft=draft_of(topics), **fields)
    assert answer.status_code == 422
    assert "make one there for each" in words(answer)
    assert stored(app) == 0


def test_a_draft_of_another_session_is_refused(
    app: Flask, operator: Staff, sendgrid: SendGridStandIn
) -> None:
    draft = draft_of(enter(operator, sendgrid))
    other = staff(app, Role.OPERATOR, name="ada")
    assert other.post(f"{ADD}/store", draft=draft).status_code == 400
    assert operator.post(f"{ADD}/store", draft="B" + draft[1:]).status_code == 400
    assert operator.post(f"{ADD}/topics", draft="x").status_code == 400


def test_a_name_that_is_taken_is_said_at_once(
    app: Flask, operator: Staff, sendgrid: SendGridStandIn
) -> None:
    topics = enter(operator, sendgrid)
    fields = {"target:acme.offers": "12"}
    preview = operator.post(f"{ADD}/topics", draft=draft_of(topics), **fields)
    operator.post(f"{ADD}/store", draft=draft_of(preview))
    assert "already: choose another" in words(enter(operator, sendgrid))
    twice = operator.post(f"{ADD}/store", draft=draft_of(preview))
    assert twice.status_code == 422
    assert stored(app) == 1


def test_every_kind_has_a_form(operator: Staff) -> None:
    kinds = re.findall(r"kind=([\w-]+)", operator.get(f"{ADD}").get_data(as_text=True))
    assert len(kinds) >= 30
    for kind in kinds:
        page = operator.get(f"{ADD}/settings?kind={kind}")
        assert page.status_code == 200, kind
    assert operator.get(f"{ADD}/settings?kind=nothing").status_code == 404


def test_what_a_tool_calls_its_targets_is_text(operator: Staff, sendgrid: SendGridStandIn) -> None:
    sendgrid.groups[99] = "<script>alert(1)</script>"
    topics = enter(operator, sendgrid)
    assert "<script>alert(1)</script> (99)" in words(topics)
    assert "<script>alert" not in topics.get_data(as_text=True)
