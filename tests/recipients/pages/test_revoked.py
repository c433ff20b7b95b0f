"""What a leaked link still does, and what the probe of a check does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from tests.clock import Clock
from tests.ledger.tables import Ledger
from tests.web.pages.visits import MESSAGE_ID

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from preference_center.core.links.offline import LinkMinter

PAIR = {"List-Unsubscribe": "One-Click"}
WITHDRAWN = "This link was withdrawn"


def command(app: Flask, *words: str) -> str:
    result = app.test_cli_runner().invoke(args=words)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


@pytest.fixture
def minter(app: Flask, clock: Clock) -> LinkMinter:
    from preference_center.core.links.offline import LinkMinter

    key = command(app, "keys", "link-key", "shop", "--brand", "acme")
    return LinkMinter(key, lambda: clock().timestamp())


@pytest.fixture
def offline(minter: LinkMinter) -> str:
    """The token that a sender made for a message to Jane."""
    return minter.unsubscribe_url("Jane.Doe@example.com", "digest", MESSAGE_ID).rpartition("/")[2]


@pytest.fixture
def permanent(app: Flask, clock: Clock) -> str:
    """The token in Jane's row of a column of destination 3."""
    from preference_center.core.links.tokens import Link
    from preference_center.infra.context import services
    from preference_center.infra.db.transactions import run_in_transaction
    from preference_center.infra.keys.link_keys import enable_permanent_links

    with app.app_context():
        since = run_in_transaction(
            lambda connection: enable_permanent_links(connection, 3, clock())
        )
        address = parse_address("jane.doe@example.com", Channel.EMAIL)
        link = Link(address, "digest", "", since, destination_id=3)
        token: str = services().links.create_permanent_token(link)
    return token


@pytest.fixture(params=["offline", "permanent"])
def revoked(app: Flask, clock: Clock, request: pytest.FixtureRequest) -> str:
    """A token that was revoked."""
    from preference_center.infra.db.transactions import run_in_transaction
    from preference_center.infra.keys.link_keys import revoke_permanent_links

    token: str = request.getfixturevalue(request.param)
    if request.param == "offline":
        command(app, "keys", "revoke-link-key", "shop")
    else:
        with app.app_context():
            assert run_in_transaction(
                lambda connection: revoke_permanent_links(connection, 3, clock())
            )
    return token


def test_what_a_sender_made_opts_out_with_its_key_as_evidence(
    client: FlaskClient, offline: str, ledger: Ledger
) -> None:  # I8
    assert client.post(f"/u/{offline}", data=PAIR).status_code == 200
    (event,) = ledger.events()
    assert (event["kind"], event["scope"]) == ("opted_out", "digest")
    evidence = event["evidence"]
    assert (evidence["key_id"][:1], evidence["message_id"]) == ("~", MESSAGE_ID)
    assert "Weekly digest" in client.get(f"/p/{offline}").text


def test_a_permanent_link_shows_the_choices_for_ever_and_names_its_destination(
    client: FlaskClient, permanent: str, clock: Clock, ledger: Ledger
) -> None:
    clock.advance(timedelta(days=4000))
    page = client.get(f"/p/{permanent}").text
    assert "j***@e***.com" in page
    assert "Offers" in page
    client.post(f"/u/{permanent}", data=PAIR)
    assert ledger.events()[0]["evidence"]["destination"] == "3"


class TestARevokedLink:
    def test_opts_out_for_ever(
        self, client: FlaskClient, revoked: str, clock: Clock, ledger: Ledger
    ) -> None:  # I7
        clock.advance(timedelta(days=4000))
        for _ in range(2):
            answer = client.post(f"/u/{revoked}", data=PAIR)
            assert (answer.status_code, answer.text) == (200, "You are unsubscribed.\n")
        assert ledger.kinds() == [("opted_out", "digest")]
        assert (
            client.post(f"/u/{revoked}", data={"confirm": "all"}, follow_redirects=True).status_code
            == 200
        )
        assert ledger.kinds()[1:] == [("opted_out", "all_marketing")]

    @pytest.mark.parametrize("path", ["/p/{}", "/w/{}"])
    def test_shows_that_it_was_withdrawn_and_nothing_of_the_person(
        self, client: FlaskClient, revoked: str, make_token: Callable[..., str], path: str
    ) -> None:
        before = client.get(path.format(revoked))
        client.post(f"/u/{make_token()}", data=PAIR)
        after = client.get(path.format(revoked))
        assert before.status_code == 200
        assert WITHDRAWN in before.text
        assert before.text == after.text  # an opt-out doesn't show
        assert "Offers" not in before.text
        assert "jane.doe" not in before.text

    def test_gives_no_receipt(self, client: FlaskClient, revoked: str) -> None:
        assert client.get(f"/w/{revoked}/receipt.json").status_code == 410

    @pytest.mark.parametrize("path", ["/u/{}", "/p/{}"])
    def test_does_not_reveal_the_status_to_a_browsers_signal(
        self, client: FlaskClient, revoked: str, make_token: Callable[..., str], path: str
    ) -> None:
        signal = {"Sec-GPC": "1"}
        before = client.get(path.format(revoked), headers=signal).text
        client.post(f"/u/{make_token(scope='all_marketing')}", data=PAIR)
        assert client.get(path.format(revoked), headers=signal).text == before

    @pytest.mark.parametrize("path", ["/m/{}", "/portal/{}", "/c/{}"])
    def test_opens_no_other_page(self, client: FlaskClient, revoked: str, path: str) -> None:
        assert client.get(path.format(revoked)).status_code == 404

    def test_turns_nothing_on(self, client: FlaskClient, revoked: str, ledger: Ledger) -> None:
        client.post(f"/p/{revoked}", data={"topics": "offers", "all_marketing": "y"})
        assert ledger.events() == []


def test_a_fresh_column_works_after_the_old_one_was_revoked(
    app: Flask, client: FlaskClient, permanent: str, clock: Clock
) -> None:
    from preference_center.infra.context import services
    from preference_center.infra.db.transactions import run_in_transaction
    from preference_center.infra.keys.link_keys import (
        enable_permanent_links,
        revoke_permanent_links,
    )

    with app.app_context():
        old = services().links.read_token(permanent, clock())
        run_in_transaction(lambda connection: revoke_permanent_links(connection, 3, clock()))
        since = run_in_transaction(
            lambda connection: enable_permanent_links(connection, 3, clock())
        )
        assert since > old.issued_at
        from dataclasses import replace

        fresh = services().links.create_permanent_token(replace(old, issued_at=since))
    assert WITHDRAWN in client.get(f"/p/{permanent}").text
    assert WITHDRAWN not in client.get(f"/p/{fresh}").text


class TestTheProbe:
    @pytest.fixture
    def probe(self, app: Flask, clock: Clock) -> str:
        from preference_center.infra.context import EXTENSION_NAME

        token: str = app.extensions[EXTENSION_NAME].links.create_probe_token(clock())
        return token

    def test_is_answered_like_an_opt_out_and_records_nothing(
        self, client: FlaskClient, probe: str, ledger: Ledger
    ) -> None:
        before = ledger.rows()
        answers = [
            client.post(f"/u/{probe}", data=PAIR),
            client.post(f"/u/{probe}", data=PAIR, content_type="multipart/form-data"),
        ]
        assert {(answer.status_code, answer.text) for answer in answers} == {
            (200, "You are unsubscribed.\n")
        }
        for body in ({"confirm": "this"}, {"confirm": "all"}, {"undo": "x"}):
            assert "Stop all marketing?" in client.post(f"/u/{probe}", data=body).text
        assert "Stop all marketing?" in client.get(f"/u/{probe}").text
        assert ledger.rows() == before

    @pytest.mark.parametrize("path", ["/p/{}", "/w/{}", "/m/{}", "/portal/{}", "/c/{}"])
    def test_is_unknown_elsewhere(self, client: FlaskClient, probe: str, path: str) -> None:
        assert client.get(path.format(probe)).status_code == 404
        assert client.post("/form", data={"link": probe}).status_code in {404, 503}
        assert (
            client.post(
                f"/reason/{probe}", data={"reason": "other"}, follow_redirects=True
            ).status_code
            == 404
        )
