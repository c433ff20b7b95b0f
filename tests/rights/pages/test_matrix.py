"""Every act asks for identity, and every visitor has theirs; the rules are in `rules/`.

`test_identity.py` there has every act at every level.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import TokenPurpose
from preference_center.infra.context import EXTENSION_NAME
from preference_center.rights.rules.requests import Extent, RequestKind
from tests.infra.mailing import give_mail_server, queued_emails
from tests.ledger.tables import Ledger
from tests.rights.pages.acts import form_fields, press, requests_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask
    from flask.testing import FlaskClient

    from tests.clock import Clock
    from tests.web.pages.fixtures import MakeToken

ADDRESS = "jane.doe@example.com"
FORMS: Mapping[str, Mapping[str, str]] = {
    "access": {"confirm": "yes"},
    "correct": {"what": "words", "text": "My name is spelt wrong."},
    "erase": {"extent": "marketing", "confirm": "yes"},
    "erase account": {"extent": "account", "confirm": "yes"},
    "restrict": {"confirm": "yes"},
    "unrestrict": {"confirm": "yes"},
    "close": {"confirm": "yes"},
    "reopen": {"confirm": "yes"},
    "object": {"address": ADDRESS, "text": ""},
    "dont_sell_or_share": {"address": ADDRESS},
    "complaint": {"address": ADDRESS, "text": "You called me."},
}
"""What the button of each page posts."""
VISITORS = ["nobody", "message", "old message", "revoked", "expired visit", "visit"]
NEEDS_NOTHING = {"object", "dont_sell_or_share", "complaint"}
PURPOSES_OF_OTHERS = [TokenPurpose.RIGHTS, TokenPurpose.EMAILED_LINK, TokenPurpose.PORTAL]


@pytest.fixture
def tokens(app: Flask, clock: Clock, make_token: MakeToken) -> dict[str, str]:
    """The token of each visitor, as it is now."""
    from preference_center.core.events import ALL_MARKETING
    from preference_center.core.links.tokens import Link

    links = app.extensions[EXTENSION_NAME].links
    address = parse_address(ADDRESS, Channel.EMAIL)

    def visit(at: timedelta) -> str:
        purpose = TokenPurpose.PAGE_VISIT
        token: str = links.create_one_time_token(purpose, address, uuid4(), clock() - at)
        return token

    revoked = Link(address, ALL_MARKETING, "", clock() - timedelta(days=9), destination_id=7)
    return {
        "nobody": "",
        "message": make_token(),
        "old message": make_token(age=timedelta(days=90)),
        "revoked": links.create_permanent_token(revoked),
        "expired visit": visit(timedelta(minutes=31)),
        "visit": visit(timedelta(0)),
    }


@pytest.mark.parametrize(
    "form, visitor",
    [
        *((form, visitor) for form in FORMS for visitor in ("message", "visit")),
        *(("access", visitor) for visitor in VISITORS if visitor not in {"message", "visit"}),
        *((form, "nobody") for form in sorted(NEEDS_NOTHING)),
    ],
)
def test_an_act_takes_the_identity_that_it_needs_and_nothing_less_does_anything(
    app: Flask, client: FlaskClient, tokens: dict[str, str], form: str, visitor: str, ledger: Ledger
) -> None:
    act, token = form.partition(" ")[0], tokens[visitor]
    path = f"/rights/{act}/{token}" if token else f"/rights/{act}"
    before = ledger.rows()
    answer = press(client, path, **FORMS[form])
    if act in NEEDS_NOTHING or visitor == "visit":
        assert answer.status_code in {200, 303}
        return
    assert answer.status_code == 403
    assert "hanged" in answer.text  # nothing was changed, and why
    assert ledger.rows() == before
    assert requests_in(app) == []


@pytest.mark.parametrize(
    "form, purpose",
    [
        *((form, TokenPurpose.RIGHTS) for form in FORMS),
        *(("access", purpose) for purpose in PURPOSES_OF_OTHERS[1:]),
    ],
)
def test_a_token_of_another_purpose_is_nobodys(
    app: Flask, client: FlaskClient, clock: Clock, form: str, purpose: TokenPurpose
) -> None:
    links = app.extensions[EXTENSION_NAME].links
    address = parse_address(ADDRESS, Channel.EMAIL)
    token = links.create_one_time_token(purpose, address, uuid4(), clock())
    path = f"/rights/{form.partition(' ')[0]}/{token}"
    assert client.get(path).status_code == 404
    assert client.post(path, data=FORMS[form]).status_code == 404
    assert requests_in(app) == []


def test_the_matrix_has_every_right_and_extent() -> None:
    acts = {form.partition(" ")[0] for form in FORMS}
    assert acts == {kind.value for kind in RequestKind} - {RequestKind.MINOR}
    assert {fields["extent"] for fields in FORMS.values() if "extent" in fields} == set(Extent)


@pytest.mark.parametrize("form", FORMS)
def test_a_visit_acts_for_its_own_address_only(
    app: Flask, client: FlaskClient, tokens: dict[str, str], form: str
) -> None:  # I9: rights are exact
    path = f"/rights/{form.partition(' ')[0]}/{tokens['visit']}"
    press(client, path, **{**FORMS[form], "address": "j.ane.doe@example.com"})
    with app.app_context():
        from preference_center.rights.requests.steps import open_sealed

        named = {each for asked in requests_in(app) for each in open_sealed(asked).addresses}
    assert named <= {("email", ADDRESS)}


@pytest.mark.parametrize("form", sorted(set(FORMS) - NEEDS_NOTHING))
def test_a_form_of_another_site_lacks_the_cookie_and_changes_nothing(
    app: Flask, client: FlaskClient, tokens: dict[str, str], form: str, ledger: Ledger
) -> None:
    path = f"/rights/{form.partition(' ')[0]}/{tokens['visit']}"
    hidden = form_fields(client, path, FORMS[form])
    before = ledger.rows()
    stranger = app.test_client()  # who has the token of the form, but not its cookie
    for given in (hidden["csrf_token"], "", "forged"):
        answer = stranger.post(path, data={**FORMS[form], **hidden, "csrf_token": given})
        assert answer.status_code == 400
        assert "allow cookies" in answer.text
    assert ledger.rows() == before


@pytest.mark.parametrize("act", sorted({form.partition(" ")[0] for form in FORMS}))
def test_looking_at_any_page_writes_and_mails_nothing(
    app: Flask, client: FlaskClient, tokens: dict[str, str], act: str, ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    give_mail_server(app, monkeypatch)
    before = ledger.rows()
    for token in tokens.values():
        path = f"/rights/{act}/{token}" if token else f"/rights/{act}"
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = client.open(path + "?confirm=yes&extent=marketing", method=method)
            assert answer.status_code == 200  # I7
    assert ledger.rows() == before
    assert queued_emails(app) == []
