"""The list of an agent: counted first, then recorded, and never quoted."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from preference_center.core.staff import Role
from tests.rights.console.asking import rows
from tests.web.console.staff import Staff, staff, words

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

LIST = "address,kind,extent\nAda@example.com,object,\nbob@example.com,erase,marketing\n"
AGENT = {"agent_name": "Data Rights", "agent_address": "post@agents.example", "answers": "en"}


def upload(who: Staff, text: str | bytes, **given: Any) -> TestResponse:
    content = text if isinstance(text, bytes) else text.encode()
    form = AGENT | {"list": (BytesIO(content), "list.csv")} | given
    return who.post("/console/requests/list", **form)


def test_a_list_is_counted_and_recorded_only_if_asked(app: Flask) -> None:
    grace = staff(app, Role.SUPPORT)
    counted = words(upload(grace, LIST))
    assert "Nothing was recorded" in counted
    assert "Objection to marketing: 1" in counted
    assert rows(app, "SELECT count(*) FROM rights_request") == [(0,)]
    for _ in range(2):
        assert "Recorded" in words(upload(grace, LIST, apply="yes"))
    recorded = "SELECT DISTINCT kind, via, state FROM rights_request ORDER BY kind"
    assert rows(app, recorded) == [
        ("erase", "agent", "identifying"),
        ("object", "agent", "done"),
    ]
    assert ("console:grace",) in rows(app, "SELECT DISTINCT actor FROM rights_step")


def test_rows_that_cannot_be_used_are_named_by_line_and_not_quoted(app: Flask) -> None:
    answer = upload(staff(app, Role.SUPPORT), f"{LIST}<script>x,access,\n", apply="yes")
    shown = answer.get_data(as_text=True)
    assert '<th scope="row">4</th>' in shown
    assert "<script>x" not in shown
    assert "ada@example.com" not in shown.lower()  # I12
    assert rows(app, "SELECT count(*) FROM rights_request") == [(2,)]


def test_what_is_no_list_is_refused_as_a_whole(app: Flask) -> None:
    grace = staff(app, Role.SUPPORT)
    long = "address,kind\n" + "ada@example.com,access\n" * 501
    for text, given, problem in (
        (b"address,kind\n\xff\xfe", {}, "not in UTF-8"),
        ("name,kind\n", {}, "the header"),
        (long, {}, "more than 500 rows"),
        (LIST, {"agent_name": "see www.evil.example"}, "without a link"),
        (LIST, {"answers": "tlh"}, "Choose the language"),
        (LIST, {"list": (BytesIO(), "")}, "Choose a file"),
    ):
        answer = upload(grace, text, apply="yes", **given)
        assert answer.status_code == 422
        assert problem in words(answer)
    assert rows(app, "SELECT count(*) FROM rights_request") == [(0,)]
