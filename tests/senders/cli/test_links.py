"""`flask links`: the column of permanent links, and withdrawing it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.infra.db.transactions import run_in_transaction
from tests.clock import START, Clock
from tests.in_force import CATALOGUE, put_in_force

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask
    from flask.testing import FlaskClient

HOSTED = CATALOGUE.replace('name = "Acme"', 'name = "Acme"\nhost = "choices.acme.example"')
SHEET = 'Name;E-Mail;Note\r\nAda;Ada@Example.com;x\r\n"L; G";grace@example.com\r\nNo;nowhere;\r\n'


@pytest.fixture
def tool(app: Flask) -> Flask:
    """The service with the destination `tool`, and three addresses."""
    from preference_center.destinations.store.destinations import insert_destination
    from preference_center.infra.context import services
    from preference_center.ledger import record

    put_in_force(app, HOSTED)
    addresses = [
        parse_address("ada@example.com", Channel.EMAIL),
        parse_address("søren@exämple.dk", Channel.EMAIL),
        parse_address("+393331234567", Channel.SMS),
    ]
    with app.app_context():
        keys = services().keys
        run_in_transaction(
            lambda connection: insert_destination(
                connection,
                keys,
                name="tool",
                kind="file_drop",
                settings={},
                channels=frozenset({Channel.EMAIL, Channel.SMS}),
                mapping={},
                sends=frozenset({"acme.news", "acme.sms"}),
                sends_service=False,
                now=START,
            )
        )
        record([opted_out(address) for address in addresses])
    return app


def opted_out(address: Any) -> Change:
    from preference_center.infra.context import services

    scope = "all_marketing"
    return Change(
        services().new_id(), EventKind.OPTED_OUT, address, scope, START, START, "test", "test"
    )


def flask(app: Flask, *words: str, given: bytes = b"") -> Result:
    return app.test_cli_runner().invoke(args=["links", *words], input=given)


def export(app: Flask, *words: str, given: bytes = b"") -> list[list[str]]:
    words = ("export", "--destination", "tool", "--topic", "acme.news", *words)
    result = flask(app, *words, given=given)
    assert result.exit_code == 0, result.output
    return list(
        csv.reader(io.StringIO(result.stdout), delimiter=";" if ";" in result.stdout else ",")
    )


def test_the_column_has_every_address_on_the_topics_channel(
    tool: Flask, client: FlaskClient
) -> None:
    header, *rows = export(tool)

    assert header == ["address", "preference_link"]
    assert {address for address, _ in rows} == {"ada@example.com", "søren@xn--exmple-cua.dk"}
    for _, url in rows:
        assert url.startswith("https://choices.acme.example/p/")
        assert client.get(url.removeprefix("https://choices.acme.example")).status_code == 200


def test_writing_it_twice_gives_the_same_column(tool: Flask, clock: Clock) -> None:
    first = export(tool)
    clock.now = START.replace(year=START.year + 1)
    assert export(tool) == first


def test_another_topic_another_column(tool: Flask) -> None:
    column = export(tool)
    words = ["export", "--destination", "tool", "--topic", "all_marketing", "--page", "unsubscribe"]
    lines = flask(tool, *words).stdout.splitlines()
    assert len(lines) == 4  # of every channel of the tool
    assert lines[1].split(",")[1] != column[1][1]
    assert "https://preferences.example.com/u/" in lines[1]


def test_a_list_keeps_its_layout_and_gets_a_last_column(tool: Flask, clock: Clock) -> None:
    from preference_center.infra.context import services

    header, ada, grace, bad = export(tool, "--input", "-", given=SHEET.encode())

    assert header == ["Name", "E-Mail", "Note", "preference_link"]
    assert ada[:3] == ["Ada", "Ada@Example.com", "x"]
    assert grace[:3] == ["L; G", "grace@example.com", ""]  # a short row is filled up
    assert bad == ["No", "nowhere", "", ""]
    with tool.app_context():
        link = services().links.read_token(grace[3].rpartition("/")[2], clock())
    assert (link.address.exact, link.scope) == ("grace@example.com", "acme.news")


def test_an_address_that_was_never_seen_is_not_stored_by_that(tool: Flask) -> None:
    export(tool, "--input", "-", given=SHEET.encode())
    with tool.app_context():
        stored = run_in_transaction(
            lambda connection: connection.execute("SELECT 1 FROM address").fetchall()
        )
    assert len(stored) == 3


@pytest.mark.parametrize(
    "given, words, column",
    [
        (b"ada@example.com\ngrace@example.com\n", (), 0),  # no header
        (b"\xef\xbb\xbfemail,x\nada@example.com,1\n", (), 0),  # a byte order mark
        (b"id\tBilling mail\n7\tada@example.com\n", ("--column", "Billing mail"), 1),
        (b"id|q\n7|ada@example.com\n", ("--column", "2"), 1),
        (b'email,name\rada@example.com,"two\rlines"\r', (), 0),  # of an old Mac
        (b"email\n\n\nada@example.com\n", (), 0),
        ("email;città\nada@example.com;Forlì\n".encode("cp1252"), ("--encoding", "cp1252"), 0),
    ],
)
def test_lists_of_all_kinds(tool: Flask, given: bytes, words: tuple[str, ...], column: int) -> None:
    result = flask(
        tool, "export", "--destination", "tool", "--topic", "acme.news", "--input", "-", *words,
        given=given,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "https://choices.acme.example/p/" in result.stdout.splitlines()[-1]
    assert " rows have none" not in result.stderr


@pytest.mark.parametrize(
    "given, words, expected",
    [
        (b"", (), "the list is empty"),
        (b"id,who\n1,x\n", (), "--column. The columns are: 'id', 'who'"),
        (b"email\na@b.it\n", ("--column", "mail"), "no such column"),
        (b"email\na@b.it\n", ("--column", "9"), "no such column"),
        (b"email,preference_link\na@b.it,x\n", (), "another --title"),
        ("email,x\na@b.it,Forlì\n".encode("cp1252"), (), "--encoding"),
        (b"email\na@b.it\n", ("--encoding", "klingon"), "unknown encoding"),
        (b'email,x\na@b.it,"' + b"y" * 140_000 + b'"\n', (), "not valid CSV"),
    ],
)
def test_a_list_that_cant_be_used_leaves_no_file(
    tool: Flask, tmp_path: Path, given: bytes, words: tuple[str, ...], expected: str
) -> None:
    output = tmp_path / "links.csv"
    result = flask(
        tool, "export", "--destination", "tool", "--topic", "acme.news", "--input", "-",
        "-o", str(output), *words, given=given,
    )  # fmt: skip
    assert result.exit_code == 1
    assert expected in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_a_short_field_would_cut_is_reported(tool: Flask) -> None:
    given = f"email\n{'a' * 150}@example.com\n".encode()
    words = ["export", "--destination", "tool", "--topic", "acme.news", "--input", "-"]
    assert "some tools truncate a text field at 255" in flask(tool, *words, given=given).stderr
    assert "cut a text field" not in flask(tool, *words, given=SHEET.encode()).stderr


@pytest.mark.parametrize(
    "words, expected",
    [
        (["--destination", "tol", "--topic", "acme.news"], "There are: tool"),
        (["--destination", "tool"], "--topic: acme.news, acme.sms, all_marketing"),
        (["--destination", "tool", "--topic", "acme.offers"], "does not send that topic"),
        (["--destination", "tool", "--topic", "acme.new"], 'did you mean "acme.news"'),
        (["--destination", "tool", "--topic", "acme.news", "-o", "no/such/place"], "can't write"),
    ],
)
def test_a_wrong_command_names_the_remedy(tool: Flask, words: list[str], expected: str) -> None:
    result = flask(tool, "export", *words)
    assert result.exit_code == 1
    assert expected in result.stderr


def test_the_file_is_for_its_owner_only(tool: Flask, tmp_path: Path) -> None:
    output = tmp_path / "links.csv"
    output.write_text("what was there before")
    export(tool, "-o", str(output))
    assert output.stat().st_mode & 0o077 == 0
    assert output.read_text().startswith("address,preference_link")


def test_an_erased_person_is_in_no_column(tool: Flask) -> None:  # I6
    with tool.app_context():
        sql = "UPDATE address SET erased_at = created_at WHERE channel = 'email'"
        run_in_transaction(lambda connection: connection.execute(sql))
    assert export(tool) == [["address", "preference_link"]]


def test_revoking_withdraws_the_column_and_a_new_one_works(
    tool: Flask, client: FlaskClient
) -> None:
    assert "never had" in flask(tool, "revoke", "--destination", "tool").stdout
    old = export(tool)
    assert "are withdrawn" in flask(tool, "revoke", "--destination", "tool").stdout
    new = export(tool)

    pages = [client.get(rows[1][1].partition(".example")[2]).text for rows in (old, new)]
    assert ["withdrawn" in page or "ritirato" in page for page in pages] == [True, False]
    with tool.app_context():
        audit = run_in_transaction(
            lambda c: c.execute("SELECT action FROM audit ORDER BY id").fetchall()
        )
    assert [action for (action,) in audit] == ["links.exported", "links.revoked", "links.exported"]
