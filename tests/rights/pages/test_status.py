"""The status page of a request: how far it is, its file, and each tool of a deletion."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID
from zipfile import ZipFile

import pytest

from preference_center.contacts import upsert_contacts
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.core.addresses import Channel, parse_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.access_file.build import build_access_file
from preference_center.rights.requests import handle
from preference_center.rights.requests.decide import fulfil_data_request
from preference_center.rights.requests.steps import extend_deadline, list_steps, refuse_data_request
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import (
    ExtensionReason,
    Extent,
    IdentityLevel,
    RefusalGround,
    RequestKind,
    RequestState,
    RequestVia,
)
from preference_center.web.languages import LANGUAGES
from tests.infra.mailing import give_mail_server, link_in, queued_emails
from tests.ledger.changes import add_destination
from tests.rights.pages.acts import press, reference_in, requests_in

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.clock import Clock
    from tests.web.pages.fixtures import MakeToken

ADDRESS = "jane.doe@example.com"


@pytest.fixture
def asked(app: Flask, client: FlaskClient, proven: str, token: str) -> str:
    """The status page of Jane's request for access, within her visit; she once opted out."""
    client.post(f"/u/{token}", data={"confirm": "this"})
    return press(client, f"/rights/access/{proven}", confirm="yes").location.partition("#")[0]


def build(app: Flask) -> UUID:
    (request,) = requests_in(app)
    with app.app_context():
        assert build_access_file(request.id)
    return request.id


def forwarded(app: Flask) -> str:
    """The status page as the mail has it, which somebody else may read."""
    from preference_center.infra.context import services
    from preference_center.rights.rules.identity import create_rights_status_token

    with app.app_context():
        (request,) = requests_in(app)
        token = create_rights_status_token(services().links, request.id, services().now())
    return f"/rights/status/{token}"


def as_download(status: str) -> str:
    return status.replace("/status/", "/download/")


def test_the_file_is_downloaded_in_the_visit_that_asked_for_it(
    app: Flask, client: FlaskClient, asked: str
) -> None:
    assert "check again in a few minutes" in client.get(asked).text
    assert client.post(as_download(asked)).status_code == 410
    request_id = build(app)
    page = client.get(asked).text
    assert f'action="{as_download(asked)}"' in page
    answer = client.post(as_download(asked))
    assert answer.status_code == 200
    assert answer.mimetype == "application/zip"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=data-")
    assert answer.headers["Cache-Control"] == "no-store"
    with ZipFile(io.BytesIO(answer.data)) as archive:
        assert ADDRESS in json.dumps(json.loads(archive.read("data.json")))
    with app.app_context():
        actions = [step.action for step in list_steps(request_id)]
    assert "file_downloaded" in actions


def test_a_forwarded_status_link_shows_states_and_gives_no_file(
    app: Flask, client: FlaskClient, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(app)
    path = forwarded(app)
    page = client.get(path).text
    assert as_download(path) not in page
    assert ADDRESS not in page
    assert "It goes to <strong>j***@e***.com</strong>" in page  # an agent has this link, too
    answer = client.post(as_download(path))
    assert answer.status_code == 403
    assert answer.mimetype == "text/html"
    give_mail_server(app, monkeypatch)
    sent = client.post(path, data={"mail": "yes", "address": "thief@example.com"})
    assert sent.status_code == 200
    (email,) = queued_emails(app)
    assert email.recipient.exact == ADDRESS
    opened = client.post(link_in(email), data={"open": "yes"})
    page = client.get(opened.location).text  # the page of access, which lists the request
    status = page.split('<a href="/rights/status/')[1].split('"')[0]
    assert client.post(f"/rights/download/{status}").status_code == 200


def test_the_visit_of_the_status_page_ends_with_the_visit(
    app: Flask, client: FlaskClient, asked: str, clock: Clock
) -> None:
    build(app)
    clock.advance(timedelta(minutes=30, seconds=1))
    assert client.post(as_download(asked)).status_code == 403


def test_the_file_is_gone_after_seven_days_and_the_page_says_so(
    app: Flask, client: FlaskClient, asked: str, clock: Clock
) -> None:
    build(app)
    clock.advance(timedelta(days=7, seconds=1))
    assert "is deleted now" in client.get(asked).text


def test_a_get_downloads_nothing(app: Flask, client: FlaskClient, asked: str) -> None:  # I7
    build(app)
    for method in ("GET", "HEAD"):
        assert client.open(as_download(asked), method=method).status_code == 404


def test_nobody_lists_requests_but_the_visitor_of_exactly_that_address(
    app: Flask, client: FlaskClient, asked: str, proven: str, token: str, make_token: MakeToken
) -> None:  # I9
    reference = requests_in(app)[0].reference
    assert reference in client.get(f"/rights/{proven}").text
    other = make_token("j.doe@example.com")
    for path in ("/rights", f"/rights/{token}", f"/rights/{other}", f"/rights/access/{token}"):
        assert reference not in client.get(path).text


def test_the_file_of_a_contact_is_downloaded_where_its_answers_are_mailed(
    app: Flask, client: FlaskClient, proven: str
) -> None:
    with app.app_context():
        origin = RequestOrigin("test", "test", services().now())
        both = tuple(parse_address(each, Channel.EMAIL) for each in (ADDRESS, "jane@work.example"))
        upsert_contacts([ContactUpdate(external_id="c-1", addresses=both)], origin)
        handle.open_request(
            NewRequest(
                RequestKind.ACCESS,
                RequestVia.API,
                "en",
                external_ids=("c-1",),
                level=IdentityLevel.CONTACT,
            )
        )
    build(app)
    page = client.get(f"/rights/access/{proven}").text
    (status,) = re.findall(r'href="(/rights/status/[^"]+)"', page)
    with ZipFile(io.BytesIO(client.post(as_download(status)).data)) as archive:
        shown = json.loads(archive.read("data.json"))
    assert {each["address"] for each in shown["addresses"]} == {each.exact for each in both}


def test_a_report_about_somebody_is_not_theirs_to_see_or_withdraw(
    app: Flask, client: FlaskClient, proven: str
) -> None:
    client.post("/rights/minor", data={"address": ADDRESS, "text": "Seen at school"})
    assert "/rights/status/" not in client.get(f"/rights/{proven}").text
    assert client.post(forwarded(app), data={"withdraw": "yes"}).status_code == 404
    assert [asked.state for asked in requests_in(app)] == [RequestState.OPEN]


def test_a_deletion_shows_each_tool_and_no_address(
    app: Flask, client: FlaskClient, proven: str
) -> None:
    with app.app_context():
        add_destination("email-tool", "digest")
    answer = press(client, f"/rights/erase/{proven}", extent="marketing", confirm="yes")
    page = client.get(answer.location).text
    assert "Done here. 1 of 1 systems follows by" in page
    assert "A system that sends our messages" in page
    assert "email-tool" not in page
    assert "This system gets your unsubscribe request first" in page
    assert "jane" not in page.lower()
    with app.app_context():
        run_in_transaction(
            lambda c: c.execute(
                "UPDATE erasure_task SET outcome = 'erased', suppressed_at = now(),"
                " erased_at = now(), confirmed_at = now(), next_at = NULL"
            )
        )
    page = client.get(answer.location).text
    assert "the system no longer knew your address" in page
    assert "It is done." in page
    assert "Done here." not in page


def test_of_an_account_with_two_addresses_each_tool_is_shown_once(
    app: Flask, client: FlaskClient
) -> None:
    both = tuple(parse_address(each, Channel.EMAIL) for each in (ADDRESS, "jane@work.example"))
    with app.app_context():
        add_destination("email-tool", "digest")
        origin = RequestOrigin("test", "test", services().now())
        upsert_contacts([ContactUpdate(external_id="c-1", addresses=both)], origin)
        asked = NewRequest(
            RequestKind.ERASE,
            RequestVia.PAGE,
            "en",
            both[:1],
            extent=Extent.ACCOUNT,
            level=IdentityLevel.CONTACT,
        )
        fulfil_data_request(handle.open_request(asked), "support")
    assert "Done here. 1 of 1 systems follows by" in client.get(forwarded(app)).text
    done = "UPDATE erasure_task SET outcome = 'absent', next_at = NULL WHERE erasure_id = (%s)"
    with app.app_context():
        first = "SELECT min(id::text)::uuid FROM erasure"
        run_in_transaction(lambda c: c.execute(done % first))
    assert "Done here. 1 of 1 systems follows by" in client.get(forwarded(app)).text
    with app.app_context():
        rest = "SELECT max(id::text)::uuid FROM erasure"
        erased = done.replace("'absent'", "'erased', suppressed_at = now(), erased_at = now()")
        run_in_transaction(lambda c: c.execute(erased % rest))
    page = client.get(forwarded(app)).text
    assert page.count("A system that sends our messages") == 1
    assert "Deleted on" in page


def test_a_deletion_is_shown_by_its_reference_after_the_person_is_gone(
    app: Flask, client: FlaskClient, proven: str
) -> None:  # the status link works, and names nobody (I6)
    answer = press(client, f"/rights/erase/{proven}", extent="marketing", confirm="yes")
    (request,) = requests_in(app)
    assert reference_in(client, answer) == request.reference
    again = press(client, f"/rights/erase/{proven}", extent="marketing", confirm="yes")
    assert again.status_code == 303
    assert client.get(again.location).status_code == 200


@pytest.mark.parametrize("ground", sorted(set(RefusalGround) - {RefusalGround.UNFOUNDED}))
def test_a_refusal_names_its_ground_and_the_authority(
    app: Flask, client: FlaskClient, asked: str, ground: RefusalGround
) -> None:
    with app.app_context():
        refuse_data_request(requests_in(app)[0].id, ground, "cli:hedy")
    page = client.get(asked).text
    assert "hedy" not in page
    assert "We can’t do it." in page
    assert 'href="https://garante.example"' in page
    assert 'name="withdraw"' not in page


@pytest.mark.parametrize("reason", ExtensionReason)
def test_an_extension_shows_the_new_date_and_why(
    app: Flask, client: FlaskClient, asked: str, reason: ExtensionReason
) -> None:
    with app.app_context():
        extended = extend_deadline(requests_in(app)[0].id, reason, "console:hedy")
    page = client.get(asked).text
    assert "hedy" not in page
    assert "This takes longer than usual." in page
    assert extended.deadline.isoformat(timespec="seconds") in page


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", RequestState)
def test_every_state_has_its_words_in_every_language(
    app: Flask, client: FlaskClient, asked: str, state: RequestState, language: str
) -> None:
    values = {
        RequestState.DONE: "outcome = 'fulfilled', closed_at = now()",
        RequestState.REFUSED: "refusal = 'claims', closed_at = now()",
        RequestState.WITHDRAWN: "closed_at = now()",
        RequestState.LAPSED: "closed_at = now()",
        RequestState.IDENTIFYING: f"level = {IdentityLevel.NONE.value}, stopped_at = now()",
    }
    with app.app_context():
        more = f", {values[state]}" if state in values else ""
        query = f"UPDATE rights_request SET state = '{state}'{more}"
        run_in_transaction(lambda c: c.execute(query.encode()))
    page = client.get(asked, query_string={"lang": language})
    assert page.status_code == 200
    assert page.headers["Content-Language"] == language
    assert '<p role="status"><strong></strong>' not in page.text.replace("\n", "")


def test_all_rights_goes_on_in_the_visit_that_made_the_request(
    app: Flask, client: FlaskClient, asked: str, clock: Clock
) -> None:
    """A copy first, then the deletion: one mail is enough for both."""
    clock.advance(timedelta(minutes=20))
    (link,) = re.findall(r'href="(/rights/[^"]+)">All your rights', client.get(asked).text)
    listed = client.get(link).text
    assert "Your requests" in listed
    (erase,) = re.findall(r'href="(/rights/erase/[^"]+)"', listed)
    assert 'name="extent"' in client.get(erase).text
    clock.advance(timedelta(minutes=10, seconds=1))  # no longer than the visit itself
    assert 'name="extent"' not in client.get(erase).text
    assert 'href="/rights">All your rights' in client.get(asked).text
    assert 'href="/rights">All your rights' in client.get(forwarded(app)).text


def test_of_a_mailed_request_it_mails_the_link_that_is_proof_enough(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:  # GDPR art. 12(6)
    give_mail_server(app, monkeypatch)
    with app.app_context():
        address = parse_address(ADDRESS, Channel.EMAIL)
        asked = handle.open_request(
            NewRequest(RequestKind.RESTRICT, RequestVia.EMAIL, "en", (address,))
        )
    status = forwarded(app)
    page = client.get(status).text
    assert "Write to us" not in page
    assert "A link that we email to your address is enough." in page
    assert client.post(status, data={"mail": "yes"}).status_code == 200
    [link] = [link_in(each) for each in queued_emails(app) if each.kind == "rights_link"]
    visit = press(client, link, open="yes").location
    press(client, visit, confirm="yes")
    assert [each.id for each in requests_in(app)] == [asked.id]
    assert "It is done." in client.get(status).text


def test_where_no_link_is_enough_the_person_has_to_write(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_mail_server(app, monkeypatch)
    with app.app_context():
        both = tuple(parse_address(each, Channel.EMAIL) for each in (ADDRESS, "jd@example.com"))
        handle.open_request(NewRequest(RequestKind.RESTRICT, RequestVia.EMAIL, "en", both))
    status = forwarded(app)
    page = client.get(status).text
    assert "Write to us and quote the reference." in page
    assert "Email me a link" not in page
    client.post(status, data={"mail": "yes"})
    assert "rights_link" not in {each.kind for each in queued_emails(app)}
