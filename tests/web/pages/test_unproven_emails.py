"""However many strangers ask, in whatever way, a mailbox gets a few emails and no more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.inbound.rights_mail import open_mailed_request
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import RequestKind, RequestVia
from preference_center.web.emails import stop_emails
from tests.clock import START
from tests.infra.mailing import give_mail_server, queued_emails
from tests.rights.pages.acts import form_fields, press
from tests.web.pages.fixtures import MakeToken

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from preference_center.infra.outbox import OutgoingEmail

JANE, MALLORY = "jane.doe@example.com", "mallory@example.net"
LIMIT = 3

Ask = Callable[["Flask", "FlaskClient", MakeToken, str], object]


@pytest.fixture(autouse=True)
def _mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail server, and a limit that counts in this process: exact also on a busy machine,
    where Redis may answer too late."""
    from preference_center.infra.context import EXTENSION_NAME
    from preference_center.infra.redis import RedisRateLimiter

    give_mail_server(app, monkeypatch)
    limiter = RedisRateLimiter("redis://127.0.0.1:1")
    changed = replace(app.extensions[EXTENSION_NAME], make_limiter=lambda: limiter)
    monkeypatch.setitem(app.extensions, EXTENSION_NAME, changed)


def _visit(app: Flask) -> str:
    """A proven visit of Mallory's own."""
    from uuid import uuid4

    from preference_center.core.links.tokens import TokenPurpose
    from preference_center.infra.context import services

    with app.app_context():
        address = parse_address(MALLORY, Channel.EMAIL)
        return services().links.create_one_time_token(
            TokenPurpose.PAGE_VISIT, address, uuid4(), START
        )


def _opt_in(app: Flask, client: FlaskClient, make_token: MakeToken, to: str) -> object:
    path = f"/p/{make_token(to)}"
    fields = form_fields(client, path)
    return client.post(path, data=fields | {"topics": ["digest", "offers"], "all": "on"})


def _act(app: Flask, client: FlaskClient, make_token: MakeToken, to: str) -> object:
    fields = {"name": "Mallory", "address": to, "right": "access"}
    return press(client, f"/rights/agent/{_visit(app)}", **fields)


def _write(app: Flask, client: FlaskClient, make_token: MakeToken, to: str) -> object:
    """A mail with a forged From."""
    with app.app_context():
        return open_mailed_request(
            NewRequest(
                kind=RequestKind.ACCESS,
                via=RequestVia.EMAIL,
                language="en",
                addresses=(parse_address(to, Channel.EMAIL),),
                identity_asked=True,
            )
        )


ASKED: Mapping[str, Ask] = {
    "the form": lambda _a, client, _t, to: client.post("/form", data={"address": to}),
    "an old link": lambda _a, client, make, to: client.post("/form", data={"link": make(to)}),
    "a right": lambda _a, client, _t, to: client.post("/rights/erase", data={"address": to}),
    "a right by a link": lambda _a, client, make, to: client.post(
        f"/rights/erase/{make(to)}", data={"mail": "yes"}
    ),
    "an objection": lambda _a, client, _t, to: press(client, "/rights/object", address=to),
    "a complaint": lambda _a, client, _t, to: press(
        client, "/rights/complaint", address=to, text="No."
    ),
    "a report of a child": lambda _a, client, _t, to: client.post(
        "/rights/minor", data={"address": to, "text": "She is ten."}
    ),
    "an opt-in by a link": _opt_in,
    "a new address": lambda app, client, _t, to: press(
        client, f"/rights/correct/{_visit(app)}", what="address", address=to
    ),
    "an agent": _act,
    "a mail": _write,
}


def emails_to(app: Flask, to: str) -> list[OutgoingEmail]:
    return [email for email in queued_emails(app) if email.recipient.exact == to]


@pytest.mark.parametrize("way", ASKED)
def test_each_way_emails_and_no_more_than_the_limit(
    app: Flask, client: FlaskClient, make_token: MakeToken, way: str
) -> None:
    for _ in range(LIMIT + 2):
        ASKED[way](app, client, make_token, JANE)
    found = emails_to(app, JANE)
    assert 1 <= len(found) <= LIMIT
    assert all(email.unproven for email in found)


@pytest.mark.parametrize("seed", range(4))
def test_all_ways_share_one_limit(
    app: Flask, client: FlaskClient, make_token: MakeToken, seed: int
) -> None:
    ways = [*ASKED.values()] * 2
    Random(seed).shuffle(ways)
    for ask in ways:
        ask(app, client, make_token, JANE)
    assert len(emails_to(app, JANE)) == LIMIT


def test_a_form_that_is_submitted_twice_counts_once(
    app: Flask, client: FlaskClient, make_token: MakeToken
) -> None:
    path = f"/p/{make_token(JANE)}"
    fields = form_fields(client, path) | {"topics": ["digest", "offers"], "all": "on"}
    for _ in range(LIMIT + 2):
        text = client.post(path, data=fields, follow_redirects=True).text
        assert "Please confirm" in text
    assert len(emails_to(app, JANE)) == 1
    for _ in range(LIMIT):
        client.post("/form", data={"address": JANE})
    assert len(emails_to(app, JANE)) == LIMIT


def test_a_form_that_is_submitted_twice_beyond_the_limit_is_not_emailed(
    app: Flask, client: FlaskClient, make_token: MakeToken
) -> None:
    for _ in range(LIMIT):
        client.post("/form", data={"address": JANE})
    path = f"/p/{make_token(JANE)}"
    fields = form_fields(client, path) | {"topics": ["digest", "offers"], "all": "on"}
    for _ in range(2):
        text = client.post(path, data=fields, follow_redirects=True).text
        assert "We have sent several emails" in text
    assert len(emails_to(app, JANE)) == LIMIT


def test_tags_do_not_get_around_it(app: Flask, client: FlaskClient) -> None:
    for tag in range(LIMIT + 2):
        client.post("/form", data={"address": f"jane.doe+{tag}@example.com"})
    assert len(queued_emails(app)) == LIMIT


def test_another_mailbox_is_not_affected(app: Flask, client: FlaskClient) -> None:
    for _ in range(LIMIT + 2):
        client.post("/form", data={"address": JANE})
    client.post("/form", data={"address": "jack.poe@example.com"})
    assert len(emails_to(app, "jack.poe@example.com")) == 1


def test_what_is_proven_is_not_limited(app: Flask, client: FlaskClient, proven: str) -> None:
    for _ in range(LIMIT + 2):
        client.post("/form", data={"address": JANE})
    press(client, f"/rights/access/{proven}", confirm="yes")
    received = [email.kind for email in emails_to(app, JANE) if not email.unproven]
    assert received == ["rights_received"]


def test_an_objection_counts_however_often_the_mailbox_was_written_to(
    app: Flask, client: FlaskClient, subscribed: Callable[..., bool]
) -> None:
    for _ in range(LIMIT):
        client.post("/form", data={"address": JANE})
    press(client, "/rights/object", address=JANE)
    assert not subscribed()
    assert len(emails_to(app, JANE)) == LIMIT


def test_a_confirmation_that_would_not_be_sent_is_not_promised(
    app: Flask, client: FlaskClient, make_token: MakeToken
) -> None:
    from preference_center.infra.context import services
    from preference_center.infra.db.transactions import run_in_transaction

    with app.app_context():
        jane = parse_address(JANE, Channel.EMAIL)
        run_in_transaction(lambda c: stop_emails(c, services().keys, jane, START))
    _opt_in(app, client, make_token, JANE)
    assert queued_emails(app) == []
