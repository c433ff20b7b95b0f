from __future__ import annotations

import csv
import gzip
import io
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.infra.context import db
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.restore_gate import CHECK_INTERVAL
from preference_center.ledger.watermarks import parse_watermark
from preference_center.web.api import keys
from tests.clock import START, Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

NDJSON, CSV = "application/x-ndjson", "text/csv"
URL = "/v1/decisions/stream?message_type="
PEOPLE = [
    "ada@example.com",
    "new@example.com",
    "no address",
    "A.d.a+x@gmail.com",
    "grace@gmail.com",
]


def stream(
    sender: Sender,
    body: Any,
    kind: str = NDJSON,
    about: str = "offers.weekly",
    *,
    encoding: str = "identity",
    announced: int | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> TestResponse:
    """Send a body, with its length only if that is `announced`."""
    source = body if hasattr(body, "read") else io.BytesIO(body)
    length = (
        {"CONTENT_LENGTH": str(announced)} if announced else {"HTTP_TRANSFER_ENCODING": "chunked"}
    )
    return sender.client.post(
        URL + about,
        headers={
            "Content-Type": kind,
            "Content-Encoding": encoding,
            **sender.headers,
            **headers,
        },
        environ_overrides={"wsgi.input": source, "wsgi.input_terminated": True, **length},
    )


def ndjson(*people: str) -> bytes:
    return "".join(f"{json.dumps(person)}\n" for person in people).encode()


def answers(answer: TestResponse) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


class Client:
    """A client that sends the next piece once the test releases it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._more = threading.Semaphore(0)

    def send(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._more.release()

    def read(self, _size: int, /) -> bytes:
        assert self._more.acquire(timeout=30)
        return self._pieces.pop(0)


@pytest.fixture
def known(sender: Sender) -> Sender:
    """With some opt-outs and a consent."""
    sender.opt_out("ada@example.com", "acme.offers")
    sender.opt_out("a.d.a@gmail.com", "all_marketing")
    sender.consent("grace@gmail.com", "acme.news")
    return sender


@pytest.mark.parametrize("about", ["offers.weekly", "newsletter.monthly", "invoice", "unknown"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_each_line_is_answered_in_order_and_as_anywhere_else(
    known: Sender, about: str, encoding: str
) -> None:  # I4, I9, I11
    body = ndjson(*PEOPLE)
    sent = gzip.compress(body) if encoding == "gzip" else body
    answer = stream(known, sent, about=about, encoding=encoding)

    *found, end = answers(answer)
    asked = known.post("/v1/decisions", {"message_type": about, "recipients": PEOPLE}).get_json()
    assert [one.pop("recipient") for one in found] == PEOPLE
    assert found == asked["decisions"]
    assert end == {"end": True, "count": len(PEOPLE), "as_of": answer.headers["As-Of"]}
    assert parse_watermark(end["as_of"]).position <= parse_watermark(asked["as_of"]).position


def test_csv_is_answered_by_csv(known: Sender) -> None:
    rows = "".join(f"{number};{person}\n" for number, person in enumerate(PEOPLE))
    answer = stream(known, b"id;email\n" + rows.encode(), CSV)

    assert answer.mimetype == CSV
    *found, end = csv.DictReader(io.StringIO(answer.text), strict=True)
    asked = known.post(
        "/v1/decisions", {"message_type": "offers.weekly", "recipients": PEOPLE}
    ).get_json()
    filled = [{name: value for name, value in row.items() if value} for row in found]
    assert [row.pop("recipient") for row in filled] == PEOPLE
    assert filled == [one | {"allow": str(one["allow"]).lower()} for one in asked["decisions"]]
    assert list(end.values())[:3] == ["#end", "count=5", f"as_of={answer.headers['As-Of']}"]


@pytest.mark.parametrize(
    "kind, body, ends", [(NDJSON, b"", '"count": 0'), (CSV, b"email\n", "#end,count=0")]
)
def test_an_empty_list_ends_too(sender: Sender, kind: str, body: bytes, ends: str) -> None:
    assert ends in stream(sender, body, kind).text


def test_other_channels_are_asked_about_by_the_url(sender: Sender) -> None:
    sender.opt_out("+39 333 1234567", "acme.sms", channel="sms")
    answer = stream(sender, b"phone\n333 1234567\n", CSV, about="offers.flash&channel=sms")
    assert "opted_out_of_topic" in answer.text


@pytest.fixture
def going_on(sender: Sender) -> Iterator[tuple[Client, Iterator[bytes]]]:
    """A stream of which the first line is answered."""
    client = Client()
    client.send(ndjson("ada@example.com"))
    answer = stream(sender, client)
    with closing(answer):
        blocks = answer.iter_encoded()
        assert json.loads(next(blocks))["allow"]
        yield client, blocks
        client.send(b"")


def test_what_happens_meanwhile_shows_in_the_lines_that_follow(
    sender: Sender, going_on: tuple[Client, Iterator[bytes]]
) -> None:  # I2
    client, blocks = going_on
    sender.opt_out("ada@example.com", "acme.offers")
    client.send(ndjson("ada@example.com"))
    assert json.loads(next(blocks))["rule"] == "opted_out_of_topic"

    put_in_force(sender.app, CATALOGUE.replace('"offers.weekly"', '"offers.daily"'))
    client.send(ndjson("ada@example.com"))
    assert json.loads(next(blocks))["rule"] == "unknown_message_type"


def test_it_holds_no_connection_while_it_waits(
    sender: Sender, going_on: tuple[Client, Iterator[bytes]]
) -> None:
    with sender.app.app_context():
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert sender.rows(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state LIKE 'idle in%'"
    ) == [(0,)]


def test_it_is_answered_no_further_once_events_are_found_lost(
    sender: Sender, going_on: tuple[Client, Iterator[bytes]], clock: Clock
) -> None:  # I2
    client, blocks = going_on
    sender.rows("INSERT INTO history_loss (found_at) VALUES (now()) RETURNING 1")
    clock.advance(CHECK_INTERVAL)
    client.send(ndjson("ada@example.com"))
    last = json.loads(next(blocks))
    assert not last["end"]
    assert last["problem"]["type"].endswith("/problems/erasures-not-replayed")
    client.send(b"")
    assert list(blocks) == []


def test_a_revoked_key_is_answered_no_further(
    sender: Sender, going_on: tuple[Client, Iterator[bytes]]
) -> None:
    client, blocks = going_on
    with sender.app.app_context():
        run_in_transaction(lambda connection: keys.revoke_key(connection, "shop", START))
    client.send(ndjson("ada@example.com"))
    last = json.loads(next(blocks))
    assert not last["end"]
    assert last["problem"]["type"].endswith("/problems/unauthenticated")
    client.send(b"")
    assert list(blocks) == []


@pytest.mark.parametrize(
    "body, detail",
    [
        (gzip.compress(ndjson(*PEOPLE), mtime=0)[:-9], "truncated"),
        (ndjson(*PEOPLE), "not a gzip file"),
    ],
    ids=["cut", "plain"],
)
def test_an_upload_that_breaks_off_is_never_ended(sender: Sender, body: bytes, detail: str) -> None:
    last = answers(stream(sender, body, encoding="gzip"))[-1]
    assert (last["end"], last["problem"]["status"]) == (False, 422)
    assert detail in last["problem"]["detail"]


def test_a_body_shorter_than_announced_is_never_ended(sender: Sender) -> None:
    *found, last = answers(stream(sender, ndjson(*PEOPLE), announced=5000))
    assert len(found) == len(PEOPLE)
    assert "shorter than its Content-Length" in last["problem"]["detail"]


def test_an_aborted_response_in_csv_reports_it_too(sender: Sender) -> None:
    body = gzip.compress(b"email\nada@example.com\n")[:-4]
    answer = stream(sender, body, CSV, encoding="gzip")
    assert list(csv.reader(io.StringIO(answer.text)))[-1][0] == "#error"


@pytest.mark.parametrize(
    "about, kind, body, status",
    [
        ("", NDJSON, b"", 422),
        ("offers.weekly&channel=fax", NDJSON, b"", 422),
        ("offers.weekly&colum=to", CSV, b"", 422),
        ("offers.weekly", "application/json", b"[]", 415),
        ("offers.weekly", CSV, b"ada@example.com\n", 422),
        ("offers.weekly&column=to", CSV, b"email\n", 422),
    ],
)
def test_what_cant_be_answered_at_all_is_a_problem(
    sender: Sender, about: str, kind: str, body: bytes, status: int
) -> None:
    answer = stream(sender, body, kind, about)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")


def test_another_encoding_is_refused(sender: Sender) -> None:
    assert stream(sender, b"", encoding="br").status_code == 415


def test_a_key_asks_only_about_its_message_types(in_force: Flask) -> None:  # I4
    sender = make_sender(in_force, message_types=["offers.weekly"])
    assert stream(sender, ndjson(*PEOPLE)).status_code == 200
    assert stream(sender, ndjson(*PEOPLE), about="password_reset").status_code == 403
    writer = make_sender(in_force, "writer", scopes=["write"])
    assert stream(writer, ndjson(*PEOPLE)).status_code == 403


def test_only_here_a_body_may_be_longer_than_the_limit(sender: Sender) -> None:
    limit = sender.app.config["MAX_CONTENT_LENGTH"]
    body = b"email,padding\n" + (b"ada@example.com," + b"x" * 60_000 + b"\n") * (limit // 59_000)
    assert len(body) > limit
    assert "#end" in stream(sender, body, CSV).text
    assert sender.post_raw("/v1/decisions", body).status_code == 413


def test_only_so_many_run_at_a_time(sender: Sender) -> None:
    clients = [Client() for _ in range(2)]
    for client in clients:
        client.send(ndjson("ada@example.com"))
    running = [stream(sender, client) for client in clients]
    refused = stream(sender, b"")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")

    for client, answer in zip(clients, running, strict=True):
        client.send(b"")
        answer.close()  # the client went away: nobody reads to the end
    assert answers(stream(sender, b""))[-1]["end"]
