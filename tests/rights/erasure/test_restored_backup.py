"""A backup from before an erasure is restored: nobody comes back with it (I6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import ReplayPending, Unavailable
from preference_center.core.events import EventKind
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.feed.publish import FeedPublisher
from preference_center.ledger.history_loss import accept_losses
from preference_center.ledger.restore_gate import CHECK_INTERVAL
from preference_center.ledger.rules import ConsentEvidence
from preference_center.ledger.store.events import EvidenceState, verify_evidence
from preference_center.monitoring.measure import measure_database
from preference_center.rights.erasure import journal
from preference_center.rights.erasure.come_back import return_after_erasure
from preference_center.rights.erasure.erase import tidy_erasures
from preference_center.rights.erasure.journal_chain import read_entries
from preference_center.rights.erasure.journal_files import open_files
from preference_center.rights.erasure.replay import replay
from preference_center.rights.rules.requests import Extent
from tests.backups import back_up, drop_backup, put_back
from tests.clock import Clock
from tests.in_force import put_in_force
from tests.ledger.changes import change
from tests.ledger.feed.topics import ListTopic, publish_all
from tests.rights.decisions import INVOICE, WEEKLY, ask
from tests.rights.erasing import (
    ADA,
    EXTERNAL_ID,
    GRACE,
    LOCALE,
    NUMBER,
    erase,
    origin,
    store,
    tables_with,
)
from tests.web.api.sender import Sender, make_sender

pytestmark = pytest.mark.owner
TRACES = ("ada@example.com", NUMBER.exact, EXTERNAL_ID, LOCALE, "asked-at-the-counter")


@pytest.fixture(autouse=True)
def _journaled(app: Flask, tmp_path: Path) -> Iterator[None]:
    wired = app.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"erasure_journal": str(tmp_path / "journal")})
    app.extensions[EXTENSION_NAME] = replace(wired, settings=settings)
    (tmp_path / "journal").mkdir()
    with app.app_context():
        journal.start_journal()
        try:
            yield
        finally:
            drop_backup()
            app.extensions[EXTENSION_NAME] = wired
            app.extensions.pop(journal.EXTENSION_KEY, None)


def restore(app: Flask, *, starts_again: bool = True) -> None:
    """A backup is put back, without losing opt-outs; then processes start again, or go on."""
    put_back()
    with app.app_context():
        run_in_transaction(lambda connection: accept_losses(connection, "test"))
    if starts_again:
        app.extensions.pop(journal.EXTENSION_KEY, None)


def left() -> set[str]:
    return {trace for trace in TRACES if tables_with(trace)}


def test_an_erased_person_is_erased_again_before_anybody_is_answered(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:
    store(ADA, NUMBER)
    evidence = {"wording": "asked-at-the-counter"}
    record(
        [
            change(1, EventKind.OPTED_IN, address=ADA, evidence=evidence),
            change(2, EventKind.OPTED_IN, address=GRACE),
        ]
    )
    back_up()
    clock.advance(timedelta(days=2))
    erase(ADA)
    assert left() == set()
    clock.advance(timedelta(days=3))

    restore(app)
    assert left() == set(TRACES)
    assert client.get("/v1/changes").status_code == 503
    assert measure_database(clock()).is_journal_closed  # somebody learns of it
    record([change(3, address=GRACE)])  # I1: opt-outs are accepted

    replay()
    tidy_erasures(clock())
    assert left() == set()
    for form in ("ada@example.com", "ada+shop@example.com", "ADA@EXAMPLE.COM"):
        assert not ask(WEEKLY, parse_address(form, Channel.EMAIL)).allow
    assert not ask(INVOICE, ADA).allow
    assert not ask(INVOICE, NUMBER).allow
    assert not ask(WEEKLY, GRACE).allow
    assert ask(INVOICE, GRACE).allow
    keys = services().keys
    states = {each.state for each in run_in_transaction(lambda c: verify_evidence(c, keys))}
    assert EvidenceState.ALTERED not in states
    clock.advance(CHECK_INTERVAL)
    assert client.get("/v1/changes").status_code == 401


def test_of_an_account_exactly_the_addresses_are_erased_again_that_were_erased(
    app: Flask,
) -> None:  # I6, I9
    store(ADA, NUMBER)
    back_up()
    erase(ADA, extent=Extent.MARKETING)
    restore(app)
    assert replay() == 1
    assert tables_with(ADA.exact) == set()
    assert tables_with(NUMBER.exact) != set()
    assert run_in_transaction(lambda c: c.execute("SELECT FROM erasure").rowcount) == 1


@pytest.mark.parametrize("command", [
    ["export", "--for", "csv", "-o", "upload"],
    ["feed", "export", "--addresses", "readable", "-o", "upload"],
    ["snapshot", "make", "upload"],
    ["scrub", "list.csv", "--message-type", "offers.weekly", "-o", "upload", "--removed", "no"],
])  # fmt: skip
def test_nothing_is_written_of_an_erased_person_before_the_replay(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:  # I6
    put_in_force(app)
    monkeypatch.chdir(tmp_path)
    Path("list.csv").write_text(f"email\n{ADA.exact}\n")
    store(ADA)
    record([change(1, address=ADA)])
    back_up()
    erase(ADA)
    restore(app)
    flask = app.test_cli_runner()
    result = flask.invoke(args=command)
    assert result.exit_code == 1
    assert "flask erasures replay" in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"journal", "list.csv"}

    replay()
    app.extensions.pop(journal.EXTENSION_KEY)  # each command is a process of its own
    assert flask.invoke(args=command).exit_code == 0
    assert ADA.exact.encode() not in Path("upload").read_bytes()


def test_nothing_is_published_of_an_erased_person_before_the_replay(
    app: Flask, clock: Clock
) -> None:  # I6
    store(ADA)
    record([change(1, address=ADA)])
    back_up()
    erase(ADA)
    restore(app)
    topic = ListTopic()
    publisher = FeedPublisher("mailer", topic, readable=True)
    with pytest.raises(ReplayPending):
        publisher.publish_next()
    assert topic.messages == []

    replay()
    clock.advance(CHECK_INTERVAL)
    publish_all(publisher)
    assert any(message.key for message in topic.messages)
    assert not any("address" in message.body for message in topic.messages)


def is_answered(client: FlaskClient) -> bool:
    """Whether the API answers at all: 401 is what a request without a key gets."""
    return client.get("/v1/changes").status_code == 401


def test_an_erasure_on_a_standby_that_lacks_the_last_one_does_not_take_its_place(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:  # I6
    """Promoted under running processes, and asked to erase before any of them has looked."""
    store(ADA)
    store(GRACE, external_id=None)
    back_up()
    erase(ADA)
    assert is_answered(client)
    restore(app, starts_again=False)
    with pytest.raises(Unavailable):
        erase(GRACE)
    clock.advance(CHECK_INTERVAL)
    assert not is_answered(client)
    assert replay() == 1
    clock.advance(CHECK_INTERVAL)
    assert is_answered(client)
    assert tables_with("@example.com") == set()
    digests = {entry.digest for entry in read_entries(open_files(str(folder(app))))}
    assert digests == {services().keys.exact_digest(address) for address in (ADA, GRACE)}


def test_a_backup_that_is_put_back_under_running_processes_closes_them(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:  # I6
    """Another process has erased: this one has never seen the last number."""
    store(ADA)
    assert is_answered(client)
    back_up()
    gate = app.extensions.pop(journal.EXTENSION_KEY)
    erase(ADA)
    app.extensions[journal.EXTENSION_KEY] = gate
    restore(app, starts_again=False)
    clock.advance(CHECK_INTERVAL)
    assert not is_answered(client)


WEEKLY_TO_ADA = {"message_type": "offers.weekly", "recipient": ADA.exact}
ASK_WHOM_TO_WRITE_TO: dict[str, Callable[[Sender], TestResponse]] = {
    "decision": lambda sender: sender.post("/v1/decisions", WEEKLY_TO_ADA),
    "unknown": lambda sender: sender.post("/v1/decisions", WEEKLY_TO_ADA | {"message_type": "x"}),
    "stream": lambda sender: sender.post_raw(
        "/v1/decisions/stream?message_type=offers.weekly",
        json.dumps(ADA.exact).encode(),
        **{"Content-Type": "application/x-ndjson"},
    ),
    "filter": lambda sender: sender.client.get("/v1/changes/digests", headers=sender.headers),
}


@pytest.mark.parametrize("ask_whom", ASK_WHOM_TO_WRITE_TO.values(), ids=ASK_WHOM_TO_WRITE_TO)
def test_nothing_is_answered_from_a_backup_that_was_put_back_between_two_checks(
    app: Flask, clock: Clock, ask_whom: Callable[[Sender], TestResponse]
) -> None:  # I6, I11
    put_in_force(app)
    store(ADA)
    sender = make_sender(app)
    assert ask_whom(sender).status_code == 200
    back_up()
    gate = app.extensions.pop(journal.EXTENSION_KEY)
    erase(ADA)  # by another process
    app.extensions[journal.EXTENSION_KEY] = gate
    restore(app, starts_again=False)
    refused = ask_whom(sender)
    assert refused.status_code == 503
    assert refused.get_json()["type"].endswith("/problems/erasures-not-replayed")
    assert replay() == 1
    clock.advance(CHECK_INTERVAL)
    assert ask_whom(sender).status_code == 200


@pytest.mark.parametrize("is_mount_point", [False, True], ids=["no folder", "an empty folder"])
def test_a_restored_database_without_its_journal_is_not_answered_from(
    app: Flask, client: FlaskClient, clock: Clock, *, is_mount_point: bool
) -> None:  # I6
    store(ADA)
    store(GRACE, external_id=None)
    back_up()
    erase(ADA)
    volume = folder(app).rename(folder(app).with_name("volume"))
    if is_mount_point:
        folder(app).mkdir()
    restore(app)
    assert not is_answered(client)
    record([change(3, address=GRACE)])  # I1: opt-outs are accepted
    with pytest.raises(Unavailable):
        replay()
    with pytest.raises(Unavailable):
        erase(GRACE)
    if is_mount_point:
        assert list(folder(app).iterdir()) == []
        folder(app).rmdir()
    volume.rename(folder(app))  # it is mounted again
    clock.advance(CHECK_INTERVAL)
    assert not is_answered(client)
    assert replay() == 1
    clock.advance(CHECK_INTERVAL)
    assert is_answered(client)
    assert tables_with("@example.com") == set()
    assert len(list(read_entries(open_files(str(folder(app)))))) == 2


def test_a_database_of_before_the_journal_is_not_answered_from(
    app: Flask, client: FlaskClient
) -> None:  # I6
    """Its backup is older than the setting, and knows no head."""
    run_in_transaction(lambda c: c.execute("DELETE FROM erasure_journal"))
    assert not is_answered(client)
    replay()
    app.extensions.pop(journal.EXTENSION_KEY)
    assert is_answered(client)


def test_somebody_who_came_back_is_not_erased_by_a_replay_of_the_whole_journal(
    app: Flask, clock: Clock
) -> None:
    """The database lost its head, and no erasure."""
    store(ADA)
    erase(ADA)
    clock.advance(timedelta(days=1))
    return_after_erasure(ADA, ConsentEvidence("page", "back", "en", clock()), origin=origin())
    run_in_transaction(lambda c: c.execute("DELETE FROM erasure_journal"))
    assert replay() == 0
    assert tables_with("ada@example.com") != set()


def test_a_repeated_erasure_is_repeated_in_a_backup_from_between(
    app: Flask, client: FlaskClient, clock: Clock
) -> None:  # I6
    """What was said before the second one may reach us only later, e.g. in a list."""
    store(ADA)
    erase(ADA)
    back_up()
    clock.advance(timedelta(days=1))
    said_at = clock()
    clock.advance(timedelta(days=1))
    erase(ADA)
    restore(app)
    assert not is_answered(client)
    assert replay() == 1
    assert replay() == 0
    app.extensions.pop(journal.EXTENSION_KEY)
    assert is_answered(client)
    clock.advance(timedelta(days=1))
    opted_in = change(1, EventKind.OPTED_IN, address=ADA, at=clock(), evidence={"wording": "Yes"})
    record([replace(opted_in, occurred_at=said_at)])
    assert not ask(WEEKLY, ADA).allow
    assert run_in_transaction(lambda c: c.execute("SELECT FROM consent").rowcount) == 0


def folder(app: Flask) -> Path:
    return Path(app.extensions[EXTENSION_NAME].settings.erasure_journal)
