"""Input that no form of the console sends: refused, and never an error of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.core.staff import Role
from tests.contacts.console.people import open_person
from tests.in_force import put_in_force
from tests.web.console.staff import staff

if TYPE_CHECKING:
    from flask import Flask


@pytest.mark.parametrize(
    "path, status",
    [
        ("/console/window/%00", 400),
        ("/console/window/a%00/settings", 400),
        ("/console/audit?day=9999-12-31", 422),
        ("/console/audit?before=20261124T100000.000000Z-99999999999999999999999", 200),
        ("/console/catalogue/versions?before=99999999999999999999999", 200),
        ("/console/catalogue/versions?before=-1", 200),
        ("/console/staff/accounts/99999999999999999999999", 404),
    ],
)
def test_a_path_that_no_page_links_to(app: Flask, path: str, status: int) -> None:
    put_in_force(app)
    assert staff(app, *Role).get(path).status_code == status


def test_the_ends_of_time(app: Flask) -> None:
    put_in_force(app)
    grace = staff(app, Role.SUPPORT, Role.COMPLIANCE)
    person = open_person(grace)
    assert grace.get(f"{person}?day=9999-12-31").status_code == 404
    look = person.rpartition("/")[2]
    form = {"kind": "complaint", "via": "phone", "proof": "nothing"}
    path = f"/console/requests/new/{look}"
    assert grace.post(path, **form, received_at="0001-01-01T00:00").status_code == 422
