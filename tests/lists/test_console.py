"""An import in the console: begun, planned, confirmed and undone, by the API's own functions."""

from __future__ import annotations

import gzip
import re
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from preference_center.core.staff import Role
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.lists import store as lists_store
from preference_center.lists.console import imports
from preference_center.lists.imports import sources, uploads
from tests.clock import START, Clock
from tests.in_force import put_in_force
from tests.web.console.staff import BASE, Staff, csrf_token, staff, words
from workers import jobs

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

LIST = b"ada@example.com\ngrace@example.com\nnobody\n"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def who(app: Flask) -> Staff:
    put_in_force(app)
    return staff(app, Role.OPERATOR, name="ada")


def rows(app: Flask, query: str) -> list[Any]:
    with app.app_context():
        return run_in_transaction(lambda c: c.execute(query).fetchall())


def begin(who: Staff, **fields: str) -> str:
    """The path of a new import that waits for its file."""
    answer = who.post(
        "/console/imports/new", **({"preset": "addresses", "only": "opt-outs"} | fields)
    )
    assert answer.status_code == 303, words(answer)
    return answer.headers["Location"]


def upload(who: Staff, path: str, content: bytes = LIST, name: str = "list.csv") -> TestResponse:
    return who.post(f"{path}/file", file=(BytesIO(content), name))


def work(app: Flask, path: str) -> None:
    """Let a worker have its turn."""
    with app.app_context():
        jobs.continue_import(path.rpartition("/")[2])


def plan_of(who: Staff, path: str) -> str:
    found = re.search(r'name="plan" value="(\w+)"', who.get(path).get_data(as_text=True))
    assert found
    return found[1]


def map_list(app: Flask, who: Staff, path: str, scope: str = "all_marketing") -> None:
    assert who.post(f"{path}/groups", group="list", scope=scope).status_code == 303
    work(app, path)


def test_a_list_is_planned_mapped_confirmed_and_undone(app: Flask, who: Staff) -> None:
    path = begin(who, name="Old tool")
    assert "waits for its file" in words(who.get(path))
    assert upload(who, path).status_code == 303
    assert "is being read" in words(who.get(path))
    work(app, path)
    asked = words(who.get(path))
    assert "needs instructions" in asked
    assert "choose one for each below" in asked
    assert "list opt-out 2 choose" in asked
    map_list(app, who, path)
    planned = words(who.get(path))
    assert "opt-out all_marketing 2 0" in planned
    assert "Events that applying records: 2." in planned
    assert "Refused rows Line Why 3 An email address is a name" in planned
    assert rows(app, "SELECT FROM event") == []  # nothing before it is confirmed

    assert who.post(f"{path}/apply", plan=plan_of(who, path)).status_code == 303
    assert 'id="import" data-live' in who.get(path).get_data(as_text=True)
    work(app, path)
    assert "applied" in words(who.get(path))
    assert rows(app, "SELECT actor FROM event") == [("console:ada",)] * 2
    assert "Takes back exactly what it added: 2 in all." in words(who.get(f"{path}/undo"))
    assert who.post(f"{path}/undo").status_code == 303
    work(app, path)
    assert "undone" in words(who.get(path))
    assert rows(app, "SELECT FROM suppression WHERE active") == []
    listed = words(who.get("/console/imports"))
    assert "Old tool addresses undone 3 2 console:ada" in listed
    actions = rows(app, "SELECT action FROM audit WHERE action LIKE 'import.%' ORDER BY id")
    assert [row[0] for row in actions] == [
        "import.created", "import.applying", "import.applied", "import.undoing", "import.undone",
    ]  # fmt: skip


def test_another_plan_than_the_one_that_was_shown_is_not_applied(app: Flask, who: Staff) -> None:
    path = begin(who)
    upload(who, path)
    work(app, path)
    map_list(app, who, path)
    shown = plan_of(who, path)
    map_list(app, who, path, "acme.news")
    answer = who.post(f"{path}/apply", plan=shown)
    assert answer.status_code == 422
    assert "the plan has changed" in words(answer)
    assert rows(app, "SELECT FROM event") == []


def test_dates_are_asked_about_and_their_format_is_one_press(app: Flask, who: Staff) -> None:
    path = begin(who, preset="generic-list", column="who")
    content = b"who,date\nada@example.com,03/04/2024\nbob@example.com,25/12/2023\n"
    upload(who, path, content)
    work(app, path)
    map_list(app, who, path)
    assert "Read dates as %d/%m/%Y" in words(who.get(path))
    assert who.post(f"{path}/groups", date_format="%d/%m/%Y").status_code == 303
    work(app, path)
    assert "Events that applying records: 2." in words(who.get(path))
    assert "%d/%m/%Y" in who.get(f"{path}/instructions").get_data(as_text=True)


def test_how_a_file_is_read_can_be_changed_without_another_upload(app: Flask, who: Staff) -> None:
    path = begin(who)
    upload(who, path)
    work(app, path)
    map_list(app, who, path)
    answer = who.post(f"{path}/instructions", preset="addresses", only="subscriptions")
    assert answer.status_code == 303
    work(app, path)
    assert "The catalogue has no such topic" in words(who.get(path)).replace("the cat", "The cat")


def test_a_wrong_form_says_what_to_fix_and_keeps_what_was_entered(app: Flask, who: Staff) -> None:
    answer = who.post(
        "/console/imports/new",
        preset=SCRIPT,
        only="maybe",
        time_zone="Mars/Olympus",
        encoding="ebcdic",
        date_formats="%x%x",
        received_at="yesterday",
        name=SCRIPT,
        source="Shop",
    )
    assert answer.status_code == 422
    html = answer.get_data(as_text=True)
    for name in ("preset", "only", "time_zone", "encoding", "date_formats", "received_at"):
        assert f'<a href="#{name}">' in html, name
    assert SCRIPT not in html
    assert 'value="Shop"' in html
    assert rows(app, "SELECT FROM list_import") == []
    plain = who.post("/console/imports/new", preset="addresses")
    assert "does not state the meaning" in words(plain)


def test_an_import_is_cancelled_with_its_file(app: Flask, who: Staff) -> None:
    path = begin(who)
    upload(who, path)
    assert rows(app, "SELECT FROM list_import_part")
    assert "Nothing of it was applied" in words(who.get(f"{path}/cancel"))
    assert rows(app, "SELECT FROM list_import")  # I7
    assert who.post(f"{path}/cancel").status_code == 303
    work(app, path)  # the job that was enqueued
    assert rows(app, "SELECT FROM list_import") == rows(app, "SELECT FROM list_import_part") == []
    assert who.get(path).status_code == 404
    assert upload(who, path).status_code == 404


def test_what_was_applied_can_only_be_undone(app: Flask, who: Staff) -> None:
    path = begin(who)
    upload(who, path)
    work(app, path)
    map_list(app, who, path)
    assert who.post(f"{path}/undo").status_code == 422
    who.post(f"{path}/apply", plan=plan_of(who, path))
    assert who.post(f"{path}/cancel").status_code == 422
    assert upload(who, path).status_code == 422
    assert who.post(f"{path}/continue").status_code == 303
    assert len(rows(app, "SELECT FROM list_import")) == 1


HEADER = f'"{SCRIPT}",email,list\n'.encode()


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"", "the file is empty"),
        (b"\x00\x01\x02\xff" * 999, ""),
        (b"PK\x03\x04" + bytes(range(256)) * 9, "this is no text"),
        ("größe@example.com\n".encode("utf-16"), "lack a header"),
        ("name,email\nGrö,ada@example.com\n".encode("cp1252"), ""),
        (HEADER + b"x,<script>alert(1)</script>,<script>alert(1)</script>\n", ""),
        (b'{"email": ["<script>alert(1)</script>"]}\n', ""),
    ],
    ids=["empty", "binary", "zip", "utf16", "cp1252", "markup", "json"],
)
def test_a_hostile_file_is_explained_and_imports_nothing(
    app: Flask, who: Staff, content: bytes, expected: str
) -> None:
    path = begin(who, preset="generic-list", name=SCRIPT)
    assert upload(who, path, content, name=f"{SCRIPT}.csv").status_code in {303, 422}
    work(app, path)
    page = who.get(path)
    assert page.status_code == 200
    assert SCRIPT not in page.get_data(as_text=True)
    assert expected in words(page)
    assert 'name="plan"' not in page.get_data(as_text=True)
    assert rows(app, "SELECT FROM event") == []
    assert SCRIPT not in who.get("/console/imports").get_data(as_text=True)


def test_a_decompression_bomb_is_stopped(
    app: Flask, who: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_MIN_UNPACKED_LIMIT", 1 << 20)
    path = begin(who)
    answer = upload(who, path, gzip.compress(b"a" * (4 << 20)))
    assert answer.status_code == 422
    assert "unpacks to more than a list can be" in words(answer)
    assert upload(who, path).status_code == 303  # another file can be sent at once


def test_a_file_above_the_limit_is_not_stored(
    app: Flask, who: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preference_center.lists.console.imports.MAX_FILE_BYTES", 10)
    path = begin(who)
    assert upload(who, path).status_code == 413
    assert rows(app, "SELECT FROM list_import WHERE file_stored") == []


def test_a_file_is_sealed_as_it_arrives_and_needs_the_token(
    app: Flask, who: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = begin(who)
    monkeypatch.setattr(lists_store, "PART_BYTES", 1_000)
    assert upload(who, path, b"ada@example.com\n" * 100).status_code == 303
    parts = rows(app, "SELECT content FROM list_import_part")
    assert len(parts) == 2
    assert all(b"ada@" not in bytes(part[0]) for part in parts)
    file = (BytesIO(LIST), "list.csv")
    assert who.send(f"{path}/file", {"file": file}).status_code == 400
    elsewhere = who._open(
        "POST",
        f"{path}/file",
        data={"csrf_token": csrf_token(app), "file": (BytesIO(LIST), "list.csv")},
        headers={"Referer": "https://evil.example/"},
    )
    assert elsewhere.status_code == 400
    assert len(rows(app, "SELECT FROM list_import_part")) == 2


@pytest.mark.parametrize(
    "body", [b"", b"--b\r\n", b"--b\r\nContent-Disposition: form-data\r\n\r\n"]
)
def test_a_damaged_form_is_refused(app: Flask, who: Staff, body: bytes) -> None:
    path = begin(who)
    headers = {"Referer": f"{BASE}/console/", "Content-Type": "multipart/form-data; boundary=b"}
    assert who._open("POST", f"{path}/file", data=body, headers=headers).status_code == 400


def test_the_fields_before_a_file_are_no_way_to_fill_the_memory(app: Flask, who: Staff) -> None:
    field = b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n' + b"x" * 400_000 + b"\r\n"
    headers = {"Referer": f"{BASE}/console/", "Content-Type": "multipart/form-data; boundary=b"}
    sent = who._open("POST", f"{begin(who)}/file", data=field * 3 + b"--b--\r\n", headers=headers)
    assert sent.status_code == 413


def test_without_a_file_it_says_so(app: Flask, who: Staff) -> None:
    path = begin(who)
    answer = upload(who, path, b"", name="")
    assert answer.status_code in {400, 422}
    assert "Choose a file." in words(answer) or answer.status_code == 400


def test_no_page_shows_an_address_of_the_file(app: Flask, who: Staff) -> None:  # I12
    path = begin(who, preset="generic-list")
    upload(who, path, b"email,list\nada@example.com,bob@example.com\n")
    work(app, path)
    page = words(who.get(path))
    assert "•••@•••" in page
    assert "bob@example.com" not in page


def test_an_import_of_a_command_says_how_it_is_continued(app: Flask, who: Staff) -> None:
    with app.app_context():
        import_id = UUID(int=7)
        run_in_transaction(
            lambda c: c.execute(
                """INSERT INTO list_import (id, state, actor, name, instructions, created_at)
                VALUES (%s, 'applying', 'cli:ada', 'old.csv', '{"preset": "gone"}', %s)""",
                (import_id, START),
            )
        )
    page = words(who.get(f"/console/imports/{import_id}"))
    assert f"flask imports resume {import_id} FILE" in page


def test_the_list_goes_on(who: Staff, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "IMPORTS_PER_PAGE", 1)
    begin(who, name="first")
    clock.now += timedelta(seconds=1)
    newest = begin(who, name="second").rpartition("/")[2]
    page = who.get("/console/imports").get_data(as_text=True)
    assert f"/console/imports?before={newest}" in page
    assert "first" in words(who.get(f"/console/imports?before={newest}"))


def test_the_limit_is_that_of_the_api() -> None:
    assert uploads.MAX_FILE_BYTES == 4 * 1024**3
