"""An opt-out on a page or by one-click while the database is away: on disk, then recorded."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.clock import START, Clock
from tests.ledger.spool.conftest import ADDRESS, PAIR, TOPIC, Database, MakeToken, Replay
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from preference_center.ledger.spool.replayer import SpoolReplayer


def spooled(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


@pytest.mark.parametrize("how", ["away", "read_only"])
def test_one_click_is_received_and_recorded_at_its_own_time(
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    database: Database,
    replay: Replay,
    clock: Clock,
    how: str,
) -> None:  # I1
    with getattr(database, how)():
        response = client.post(f"/u/{token}", data=PAIR)
        assert response.status_code == 202
        assert response.text == "Received. You will be unsubscribed within moments.\n"
    clock.advance(timedelta(hours=3))
    assert replay().recorded == 1
    [event] = ledger.events()
    assert (event["kind"], event["scope"], event["source"]) == ("opted_out", TOPIC, "one_click")
    assert event["received_at"] == event["occurred_at"] == event["counts_at"] == START
    assert event["recorded_at"] == START + timedelta(hours=3)
    assert event["evidence"]["message_id"] == "m-1"


def test_nothing_readable_is_on_disk_nor_the_token(
    client: FlaskClient, token: str, database: Database, replayer: SpoolReplayer, folder: Path
) -> None:  # I12
    with database.away():
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202
    content = spooled(folder)
    assert len(content) > 100
    for secret in (ADDRESS, "jane", "example.com", token, TOPIC):
        assert secret.encode() not in content
    assert (
        folder.stat().st_mode & 0o777,
        [p.stat().st_mode & 0o777 for p in folder.iterdir()],
    ) == (
        0o700,
        [0o600],
    )


def test_the_same_click_twice_is_recorded_once(
    client: FlaskClient, token: str, ledger: Ledger, database: Database, replay: Replay
) -> None:  # I7
    with database.away():
        for _ in range(2):
            assert client.post(f"/u/{token}", data=PAIR).status_code == 202
    assert replay().recorded == 2
    assert len(ledger.events()) == 1


def test_replayed_again_after_a_crash_it_is_recorded_once(
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    database: Database,
    replay: Replay,
    folder: Path,
    clock: Clock,
) -> None:  # I1: the file outlives a crash between the commit and its removal
    with database.away():
        client.post(f"/u/{token}", data=PAIR)
    [path] = folder.glob("*.spool")
    copy = path.read_bytes()
    clock.advance(timedelta(hours=1))  # no repeat in the sense of REPEAT
    replay()
    assert [*folder.iterdir()] == []
    (folder / "1-00.spool").write_bytes(copy)
    before = ledger.rows()
    assert replay().recorded == 1
    assert ledger.rows() == before
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize(
    "button, scope", [("this", TOPIC), ("all", "all_marketing")], ids=["this", "all"]
)
def test_the_pages_own_buttons_are_received(
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    database: Database,
    replay: Replay,
    button: str,
    scope: str,
) -> None:  # I1
    headers = {"Accept-Language": "de"}
    with database.away():
        page = client.get(f"/u/{token}", headers=headers)
        assert page.status_code == 200
        assert 'name="confirm" value="this"' in page.text
        answer = client.post(
            f"/u/{token}", data={"confirm": button}, headers=headers, follow_redirects=True
        )
    assert answer.status_code == 202
    assert "Wir haben die Abmeldung erhalten" in answer.text
    assert 'name="undo"' not in answer.text
    replay()
    [event] = ledger.events()
    assert (event["scope"], event["source"]) == (scope, "unsubscribe_page")
    assert event["evidence"]["language"] == "de"
    assert event["evidence"]["text_version"]


def test_what_was_received_can_be_read_again_in_another_language(
    client: FlaskClient, token: str, database: Database, replay: Replay
) -> None:  # I1, I7
    with database.away():
        received = client.post(f"/u/{token}", data={"confirm": "all"})
        assert received.status_code == 202  # no redirect: it might reach a process without a spool
        (german,) = re.findall(r'href="([^"]*)" lang="de"', received.text)
        page = client.get(unescape(german))
        assert page.status_code == 200
        assert "Wir haben die Abmeldung erhalten" in page.text
        assert "erhält in wenigen Augenblicken keine Werbung mehr" in page.text
    assert (
        "Wir haben die Abmeldung erhalten" in client.get(unescape(german)).text
    )  # not replayed yet
    replay()
    assert "Sie sind abgemeldet" in client.get(unescape(german)).text


def test_the_page_shows_without_a_catalogue_known(
    app: Flask, client: FlaskClient, token: str, database: Database, replayer: SpoolReplayer
) -> None:  # I7: a process that started in the outage
    from preference_center.catalogue.store import clear_catalogue_cache

    with app.app_context():
        clear_catalogue_cache()
    with database.away():
        page = client.get(f"/u/{token}", headers={"Sec-GPC": "1"})
        assert page.status_code == 200
        assert 'name="confirm" value="this"' in page.text
        answer = client.post(
            f"/u/{token}", data={"confirm": "this"}, headers={"Sec-GPC": "1"}, follow_redirects=True
        )
        assert answer.status_code == 202


def test_the_signal_of_a_browser_waits_in_the_spool_with_the_press(
    client: FlaskClient, token: str, ledger: Ledger, database: Database, replay: Replay
) -> None:  # I1
    with database.away():
        answer = client.post(f"/u/{token}", data={"confirm": "this"}, headers={"Sec-GPC": "1"})
        assert answer.status_code == 202
    replay()
    assert [scope for _, scope in ledger.kinds()][1:] == ["sharing"]


def test_decisions_stay_no_meanwhile(
    app: Flask,
    client: FlaskClient,
    token: str,
    database: Database,
    replay: Replay,
) -> None:  # I11
    from tests.web.api.sender import make_sender

    sender = make_sender(app)
    body = {"message_type": "offers.weekly", "recipient": ADDRESS}
    assert sender.ask("offers.weekly", ADDRESS)["allow"] is True
    with database.away():
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202
        assert sender.post("/v1/decisions", body).status_code == 503
    replay()
    assert sender.ask("offers.weekly", ADDRESS)["allow"] is False


def test_a_click_on_a_locked_row_is_received_and_nobody_else_is_kept_waiting(
    client: FlaskClient,
    make_token: MakeToken,
    ledger: Ledger,
    database: Database,
    replay: Replay,
) -> None:  # I1, I2
    client.post(f"/u/{make_token(scope='acme.old')}", data=PAIR)
    with database.locked():
        assert client.post(f"/u/{make_token()}", data=PAIR).status_code == 202
        other = make_token("paul@example.com")
        assert client.post(f"/u/{other}", data=PAIR).status_code == 200
        assert replay().blocked == 1
    replayed = replay()
    assert (replayed.recorded, replayed.blocked) == (1, 0)
    assert len(ledger.events()) == 3


def test_a_newer_opt_in_that_is_recorded_first_stands(
    app: Flask,
    client: FlaskClient,
    token: str,
    ledger: Ledger,
    database: Database,
    replayer: SpoolReplayer,
    replay: Replay,
    clock: Clock,
) -> None:  # I5
    from preference_center.core.addresses import Channel, parse_address
    from preference_center.core.events import Change, EventKind
    from preference_center.ledger import record
    from preference_center.ledger.store.lookup import load_exact_facts

    with database.away():
        client.post(f"/u/{token}", data=PAIR)
    now = clock.advance(timedelta(minutes=30))
    address = parse_address(ADDRESS, Channel.EMAIL)
    with app.app_context():
        replayer.outage.down.clear()  # as in another process, which never saw an outage
        record([Change(uuid4(), EventKind.OPTED_IN, address, TOPIC, now, now, "test", "test")])
        replay()
        facts = [fact for fact in load_exact_facts([address])[0] if fact.scope == TOPIC]
    assert [event["kind"] for event in ledger.events()] == ["opted_in", "opted_out"]
    assert facts
    assert not any(fact.state.is_suppressed for fact in facts)


def test_a_full_spool_refuses(
    client: FlaskClient, token: str, database: Database, replayer: SpoolReplayer, folder: Path
) -> None:  # I1: never a 2xx for what is not durable
    (folder / "1-00.rejected").write_bytes(b"x" * replayer.spool.folder.max_bytes)
    with database.away():
        answer = client.post(f"/u/{token}", data=PAIR)
        page = client.get(f"/u/{token}")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert page.status_code == 503  # some clients try a GET next, and take its 200 for success


def test_an_unwritable_spool_refuses(
    client: FlaskClient, token: str, database: Database, replayer: SpoolReplayer, folder: Path
) -> None:  # I1
    folder.rmdir()
    folder.write_bytes(b"no folder")
    with database.away():
        assert client.post(f"/u/{token}", data=PAIR).status_code == 503
    folder.unlink()
    folder.mkdir()
    with database.away():
        assert client.post(f"/u/{token}", data=PAIR).status_code == 202


def test_without_a_spool_it_is_refused_as_ever(
    client: FlaskClient, token: str, database: Database
) -> None:
    with database.away():
        for method in ("GET", "POST"):
            assert client.open(f"/u/{token}", method=method, data=PAIR).status_code == 503


def test_a_forged_link_is_not_received(
    client: FlaskClient, token: str, database: Database, replayer: SpoolReplayer, folder: Path
) -> None:
    with database.away():
        assert client.post(f"/u/{token[:-3]}abc", data=PAIR).status_code == 404
    assert [*folder.iterdir()] == []
