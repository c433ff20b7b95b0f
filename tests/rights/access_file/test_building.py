"""When a person's file is built, who may read it, and for how long."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.errors import Unavailable
from preference_center.infra.db.transactions import run_in_transaction, transaction
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence
from preference_center.rights.access_file.build import (
    NoAccessFile,
    build_access_file,
    read_access_file,
)
from preference_center.rights.erasure.come_back import return_after_erasure
from preference_center.rights.erasure.erase import erase_contacts
from preference_center.rights.requests import files
from preference_center.rights.requests.steps import list_steps, load_request
from preference_center.rights.rules.requests import Extent, IdentityLevel, RequestState
from tests.clock import START, Clock
from tests.ledger.changes import change
from tests.rights.access_file.people import (
    ADA,
    DAY,
    GRACE,
    WORDING,
    ask,
    data_of,
    execute,
    file_of,
    origin,
    store_everything,
)


def test_the_request_is_done_when_its_file_is_there(clock: Clock) -> None:
    request = ask(ADA)
    file_of(request)
    done = load_request(request.id)
    assert (done.state, done.closed_at) == (RequestState.DONE, clock.now)
    assert not build_access_file(request.id)


def test_each_download_is_a_step() -> None:
    request = ask(ADA)
    file_of(request)
    read_access_file(request.id)
    actions = [step.action for step in list_steps(request.id)]
    assert actions == ["received", "done", "file_downloaded", "file_downloaded"]


def test_a_request_again_gives_the_same_file(clock: Clock) -> None:
    first = ask(ADA)
    file_of(first)
    content = read_access_file(first.id)
    clock.now += 2 * DAY
    record([change(1, address=ADA)])
    again = ask(ADA)
    assert again.id != first.id
    file_of(again)
    assert read_access_file(again.id) == content
    clock.now = START + files.FILE_RETENTION
    for request in (first, again):
        with pytest.raises(NoAccessFile):
            read_access_file(request.id)


def test_somebody_elses_request_gets_a_file_of_its_own() -> None:  # I9
    store_everything()
    file_of(ask(ADA))
    assert data_of(file_of(ask(GRACE)))["events"] == []


def test_the_file_is_deleted_after_a_week(clock: Clock) -> None:
    file_of(ask(ADA))
    clock.now += files.FILE_RETENTION
    assert run_in_transaction(lambda c: files.delete_expired(c, clock.now)) == 1


def test_the_file_is_sealed() -> None:  # I12
    store_everything()
    request = ask(ADA)
    file_of(request)
    [row] = run_in_transaction(lambda c: c.execute("SELECT content FROM rights_file").fetchall())
    assert b"UEsDB" not in row[0]  # base64 of how a zip begins
    assert ADA.exact.encode() not in row[0]


def test_a_file_of_many_parts_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PART_BYTES", 1_000)
    store_everything()
    request = ask(ADA)
    assert data_of(file_of(request))["reference"] == request.reference
    parts = run_in_transaction(lambda c: c.execute("SELECT count(*) FROM rights_file").fetchone())
    assert parts
    assert parts[0] > 3


def test_a_request_that_waits_for_proof_gets_no_file() -> None:
    request = ask(ADA, level=IdentityLevel.NONE)
    assert not build_access_file(request.id)
    with pytest.raises(NoAccessFile):
        read_access_file(request.id)


def test_a_build_that_failed_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    request = ask(ADA)
    monkeypatch.setattr(files.FileWriter, "finish", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_access_file(request.id)
    assert load_request(request.id).state is RequestState.OPEN
    monkeypatch.undo()
    assert data_of(file_of(request))


def test_two_workers_build_one_file() -> None:
    request = ask(ADA)
    with transaction() as connection:
        assert files.try_lock(connection, request.id)
        assert not build_access_file(request.id)
    assert build_access_file(request.id)


@pytest.mark.parametrize("came_back", [False, True])
def test_nobody_who_is_erased_meanwhile_stays_in_the_file(  # I6
    clock: Clock, monkeypatch: pytest.MonkeyPatch, *, came_back: bool
) -> None:
    """By a host whose clock is behind."""
    store_everything()
    execute("DELETE FROM hold")
    request = ask(ADA)
    finish = files.FileWriter.finish

    def finish_after_an_erasure(writer: files.FileWriter) -> None:
        clock.now -= timedelta(seconds=5)
        erase_contacts([ContactRef(address=ADA)], Extent.MARKETING, origin=origin())
        clock.now += timedelta(seconds=2)
        if came_back:
            proof = ConsentEvidence("page", "I want to come back", "en", clock())
            return_after_erasure(ADA, proof, origin=origin())
        clock.now += timedelta(seconds=3)
        finish(writer)

    monkeypatch.setattr(files.FileWriter, "finish", finish_after_an_erasure)
    with pytest.raises(Unavailable):
        build_access_file(request.id)
    monkeypatch.undo()
    clock.now += DAY
    data = data_of(file_of(request))
    [address] = data["addresses"]
    assert address["address"] == (ADA.exact if came_back else None)
    assert WORDING not in json.dumps(data)
