"""What people see, shown to staff: the same pages and mails, and nothing happens by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.outbox import EmailKind
from tests.catalogue.catalogues import edited
from tests.in_force import CATALOGUE, put_in_force
from tests.web.console.staff import staff

if TYPE_CHECKING:
    from flask import Flask

PREVIEW = "/console/catalogue/preview"
BRANDED = edited(
    (
        'name = "Acme"',
        'name = "Acme"\nhost = "p.acme.example"\ncontact.email = "care@acme.example"',
    ),
    text=CATALOGUE,
)


@pytest.mark.parametrize(
    "what, language, expected",
    [
        ("preferences", "en", "Every month"),
        ("preferences", "it", "Ogni mese"),
        ("unsubscribe", "it", "Disiscriviti"),
        ("request", "en", "Choose what you receive"),
    ],
)
def test_a_page_is_the_one_that_people_get(
    app: Flask, what: str, language: str, expected: str
) -> None:
    put_in_force(app, BRANDED)
    answer = staff(app, Role.SUPPORT).get(f"{PREVIEW}/page?what={what}&language={language}")
    html = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert expected in html
    assert f'lang="{language}"' in html
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "allow-forms" not in policy
    assert "frame-ancestors 'self'" in policy


def is_empty(table: str) -> bool:
    query = f"SELECT FROM {table} LIMIT 1"
    return run_in_transaction(lambda c: c.execute(query).rowcount) == 0


def test_every_mail_is_rendered_in_both_parts_and_none_is_sent(app: Flask) -> None:
    put_in_force(app, BRANDED)
    who = staff(app, Role.SUPPORT)
    for kind in EmailKind:
        html = who.get(f"{PREVIEW}/mail?what={kind}&language=de")
        assert html.status_code == 200, kind
        assert "Acme" in html.get_data(as_text=True), kind
        text = who.get(f"{PREVIEW}/mail?what={kind}&language=de&part=text")
        assert text.content_type == "text/plain; charset=utf-8"
        assert "Subject: " in text.get_data(as_text=True)
    with app.app_context():
        for table in ("outgoing_mail", "event", "address", "contact"):
            assert is_empty(table), table  # I7


def test_the_page_frames_what_was_chosen(app: Flask) -> None:
    put_in_force(app, BRANDED)
    who = staff(app, Role.SUPPORT)
    answer = who.get(f"{PREVIEW}?what=one_time_link&language=it")
    html = answer.get_data(as_text=True)
    assert 'sandbox="allow-same-origin"' in html
    assert f'src="{PREVIEW}/mail?brand=acme&amp;language=it&amp;what=one_time_link"' in html
    assert "frame-src 'self'" in answer.headers["Content-Security-Policy"]
    assert who.get(f"{PREVIEW}/page?what=nothing").status_code == 404
    assert who.get(f"{PREVIEW}/mail?what=nothing").status_code == 404
    assert who.get(f"{PREVIEW}?brand=nothing").status_code == 404
