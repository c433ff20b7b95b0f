"""The company's own addresses, to which no mail can do anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.inbound.mail import is_our_text
from tests.in_force import CATALOGUE, put_in_force

if TYPE_CHECKING:
    from flask import Flask

REACHABLE = (
    CATALOGUE.replace(
        'name = "Acme"', 'name = "Acme"\ncontact.email = "Acme Care <care@acme.example>"'
    )
    + """
[controller]
name = "Acme S.p.A."
address = "Via Roma 1, 20121 Milano"
privacy_contact = "privacy@acme.example"
contact.email = "group@acme.example"
"""
)


@pytest.mark.parametrize(
    "text, is_ours",
    [
        ("Care@acme.example", True),
        ("group@acme.example", True),
        ("jane.doe@example.com", False),
        ("nobody", False),
    ],
)
def test_contacts_are_the_companys_own(app: Flask, text: str, *, is_ours: bool) -> None:
    put_in_force(app, REACHABLE)
    with app.app_context():
        assert is_our_text(text) is is_ours
