"""Links that need the database to be read: a sender's own, and permanent ones (I1)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.offline import LinkMinter
from preference_center.core.links.tokens import Link
from tests.clock import START, Clock
from tests.inbound.mail.mails import outlook, receiving, send
from tests.ledger.spool.conftest import ADDRESS, PAIR, TOPIC, Database, Replay
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from preference_center.ledger.spool.replayer import SpoolReplayer


@pytest.fixture
def minter(
    app: Flask, clock: Clock, replayer: SpoolReplayer, monkeypatch: pytest.MonkeyPatch
) -> LinkMinter:
    """A sender that makes links by itself; no process has seen any of them yet."""
    from preference_center.infra.context import EXTENSION_NAME
    from preference_center.infra.keys.link_keys import clear_link_cache

    wired = app.extensions[EXTENSION_NAME]
    links = replace(wired.links, mail_domain="stop.example.com")
    with monkeypatch.context() as patched:
        patched.setitem(app.extensions, EXTENSION_NAME, replace(wired, links=links))
        made = app.test_cli_runner().invoke(args=["keys", "link-key", "shop", "--brand", "acme"])
    key = made.stdout
    with app.app_context():
        clear_link_cache()
    return LinkMinter(key, lambda: clock().timestamp())


def remember(app: Flask) -> None:
    """What the thread of a process does once a minute."""
    from preference_center.infra.keys.link_keys import cache_senders

    with app.app_context():
        cache_senders()


def test_a_link_of_a_sender_whose_key_is_known_is_received(
    app: Flask,
    client: FlaskClient,
    minter: LinkMinter,
    database: Database,
    ledger: Ledger,
    replay: Replay,
) -> None:
    remember(app)
    token = minter.unsubscribe_url(ADDRESS, TOPIC).rpartition("/")[2]
    with database.away():
        assert client.get(f"/u/{token}").status_code == 200
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202
        assert client.post(f"/u/{token[:-3]}abc", data=PAIR).status_code == 404
    assert replay().recorded == 1
    [event] = ledger.events()
    assert event["evidence"]["key_id"].startswith("~")


def test_a_link_of_a_sender_whose_key_is_unknown_is_refused(
    client: FlaskClient, minter: LinkMinter, database: Database
) -> None:  # it can not be verified: never a 2xx for what may not be recorded
    token = minter.unsubscribe_url(ADDRESS, TOPIC).rpartition("/")[2]
    with database.away():
        assert client.post(f"/u/{token}", data=PAIR).status_code == 503


def test_a_process_that_starts_in_the_outage_knows_what_was_kept_for_it(
    app: Flask,
    client: FlaskClient,
    minter: LinkMinter,
    database: Database,
    ledger: Ledger,
    replay: Replay,
    folder: Path,
) -> None:
    from preference_center.catalogue.store import clear_catalogue_cache
    from preference_center.infra.keys.link_keys import clear_link_cache
    from preference_center.ledger.spool.recorder import (
        FILE_NAME,
        load_known_state,
        save_known_state,
    )

    token = minter.unsubscribe_url(ADDRESS, TOPIC).rpartition("/")[2]
    with app.app_context():
        save_known_state(folder)
        clear_link_cache()  # and now another process
        clear_catalogue_cache()
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600
    with database.away():
        assert client.post(f"/u/{token}", data=PAIR).status_code == 503
        with app.app_context():
            load_known_state(folder)
        assert "Offers" in client.get(f"/u/{token}?lang=en").text
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202
    assert replay().recorded == 1
    assert ledger.kinds() == [("opted_out", TOPIC)]


def test_what_was_kept_is_only_assumed_until_the_database_is_back(
    app: Flask, client: FlaskClient, minter: LinkMinter, folder: Path
) -> None:
    from preference_center.ledger.spool.recorder import load_known_state, save_known_state

    with app.app_context():
        save_known_state(folder)
        app.test_cli_runner().invoke(args=["keys", "revoke-link-key", "shop"])
        load_known_state(folder)
    token = minter.preferences_url(ADDRESS, TOPIC).rpartition("/")[2]
    assert "checkbox" not in client.get(f"/p/{token}").text  # it can only opt out


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"senders": [1], "catalogue": 2}'],
    ids=["empty", "no fields", "a list", "other types"],
)
def test_a_damaged_file_of_what_was_kept_is_ignored(
    app: Flask, folder: Path, replayer: SpoolReplayer, content: bytes
) -> None:
    from preference_center.ledger.spool.recorder import FILE_NAME, load_known_state

    (folder / FILE_NAME).write_bytes(content)
    with app.app_context():
        load_known_state(folder)


def test_a_mail_to_an_address_that_a_sender_made_is_received(
    app: Flask, minter: LinkMinter, database: Database, ledger: Ledger, replay: Replay
) -> None:
    remember(app)
    header = minter.mint(ADDRESS, TOPIC, "m-1").headers["List-Unsubscribe"]
    to = header.partition("<mailto:")[2].partition("?")[0]
    with receiving(app, "smtp") as port, database.away():
        assert send(port, outlook(to), to, sender=ADDRESS) == {}
    assert replay().recorded == 1
    assert ledger.kinds() == [("opted_out", TOPIC)]


def test_a_permanent_link_is_received_though_nobody_can_tell_whether_it_was_revoked(
    app: Flask,
    client: FlaskClient,
    replayer: SpoolReplayer,
    database: Database,
    ledger: Ledger,
    replay: Replay,
) -> None:
    from preference_center.infra.context import services

    link = Link(parse_address(ADDRESS, Channel.EMAIL), TOPIC, "", START, destination_id=7)
    with app.app_context():
        token = services().links.create_permanent_token(link)
    with database.away():
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202
    assert replay().recorded == 1
    assert ledger.events()[0]["evidence"]["destination"] == "7"
