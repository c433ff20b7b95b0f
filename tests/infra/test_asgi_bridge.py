"""The bridge from ASGI to the application, driven as a server drives it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from flask import Flask, Response, current_app, request
from werkzeug.routing import BaseConverter

from preference_center.infra.serving import MAX_LARGE_BODY_BYTES, SMALL_BODY_BYTES, AsgiBridge

T = TypeVar("T")
Message = MutableMapping[str, Any]
LIMIT = 4 * SMALL_BODY_BYTES


@pytest.fixture
def flask() -> Flask:
    app = Flask("served")
    app.config["MAX_CONTENT_LENGTH"] = LIMIT

    @app.post("/echo/<token>")
    def echo(token: str) -> Response:
        return Response(request.get_data(), headers={"X-Token": token})

    @app.get("/environ")
    def environ() -> dict[str, str]:
        return {name: str(value) for name, value in request.environ.items()}

    @app.get("/parts")
    def parts() -> Response:
        return Response(iter([b"a"] * 1000))

    @app.post("/stream", endpoint="api.post_decisions_stream")
    def stream() -> Response:
        source = request.stream
        return Response(iter(lambda: source.read(4), b""))

    return app


class Client:
    """One connection: what it sends, and what it was sent. It may stop in the middle."""

    def __init__(self, *sent: Message, reads: int | None = None) -> None:
        self.sent = [*sent]
        self.reads = reads
        self.got: list[Message] = []
        self.asked_twice = asyncio.Event()
        self._silence = asyncio.Event()

    def hang_up(self) -> None:
        self.sent.append(GONE)
        self._silence.set()

    async def receive(self) -> Message:
        if not self.sent:
            self.asked_twice.set()
            await self._silence.wait()
        return self.sent.pop(0)

    async def send(self, message: Message) -> None:
        if self.reads is not None and len(self.got) >= self.reads:
            await self._silence.wait()
        self.got.append(dict(message))

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): text.decode() for name, text in self.got[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.got[1:])


def scope(path: str, method: str = "GET", **headers: str) -> Message:
    given = [(name.replace("__", "-").encode(), text.encode()) for name, text in headers.items()]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "raw_path": path.encode(),
        "query_string": b"a=%20b",
        "headers": [(b"host", b"prefs.example.com"), *given],
        "client": ("192.0.2.1", 50000),
        "server": ("127.0.0.1", 8000),
    }


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in its own thread: in this one the shared browser may keep an event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()  # noqa: TID251 - in its own thread


def serve(flask: Flask, asked: Message, client: Callable[[], Client], **limits: float) -> Client:
    async def work() -> Client:
        found = client()
        bridge = AsgiBridge(flask, 2, **limits)
        async with asyncio.timeout(60):
            await bridge(asked, found.receive, found.send)
        return found

    return run(work())


def test_a_body_in_parts_reaches_the_view_as_a_whole(flask: Flask) -> None:
    asked = scope("/echo/t", "POST", transfer__encoding="chunked")
    client = serve(flask, asked, lambda: Client(part(b"ab", more=True), part(b"cd")))
    assert (client.status, client.body, client.headers["x-token"]) == (200, b"abcd", "t")


def test_a_body_is_complete_with_its_last_announced_byte(flask: Flask) -> None:
    # Granian sends the end by itself, and each message costs two changes of threads.
    asked = scope("/echo/t", "POST", content__length="4")
    client = serve(flask, asked, lambda: Client(part(b"ab", more=True), part(b"cd", more=True)))
    assert (client.status, client.body) == (200, b"abcd")
    assert not client.asked_twice.is_set()


def test_a_path_is_handed_on_as_its_bytes(flask: Flask) -> None:
    asked = scope("/echo/%C3%A9", "POST", content__length="1")
    client = serve(flask, asked, lambda: Client(part(b"x")))
    assert client.got[0]["headers"][-1][0]
    assert ("x-token", "\u00e9") in [
        (name.decode(), text.decode("latin-1")) for name, text in client.got[0]["headers"]
    ]


def test_the_environment_is_that_of_pep_3333(flask: Flask) -> None:
    asked = scope("/environ", accept__language="it", cookie="a=1")
    asked["headers"] += [(b"cookie", b"b=2"), (b"accept-language", b"en")]
    body = serve(flask, asked, Client).body.decode()
    for name, text in {
        "HTTP_ACCEPT_LANGUAGE": "it,en",
        "HTTP_COOKIE": "a=1; b=2",
        "QUERY_STRING": "a=%20b",
        "REMOTE_ADDR": "192.0.2.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }.items():
        assert f'"{name}":"{text}"' in body.replace('": "', '":"')


def test_a_header_with_an_underscore_passes_for_no_proxy(flask: Flask) -> None:
    asked = scope("/environ", x_forwarded_for="203.0.113.9")
    assert b"FORWARDED" not in serve(flask, asked, Client).body


@pytest.mark.parametrize(
    "sent", [[], [part(b"ab", more=True)]], ids=["nothing", "less-than-announced"]
)
def test_a_body_that_does_not_come_is_answered_408_and_logged_with_its_route(
    flask: Flask, sent: list[Message], capsys: pytest.CaptureFixture[str]
) -> None:  # I12
    asked = scope("/echo/secret-token", "POST", content__length="26")
    client = serve(flask, asked, lambda: Client(*sent), progress_timeout=0.01)
    assert (client.status, client.headers["connection"]) == (408, "close")
    output = capsys.readouterr()
    line = output.out + output.err
    assert "request_timed_out" in line
    assert "echo" in line
    assert "secret-token" not in line


def test_a_route_whose_converter_needs_the_application_is_named_too(
    flask: Flask, capsys: pytest.CaptureFixture[str]
) -> None:  # as that of a token does: these were answered 500, and nothing was logged
    class Token(BaseConverter):
        def to_python(self, value: str) -> str:
            return f"{current_app.name} {value}"

    flask.url_map.converters["token"] = Token
    flask.add_url_rule("/u/<token:token>", "unsubscribe", lambda token: token, methods=["POST"])
    asked = scope("/u/secret-token", "POST", content__length="26")
    client = serve(flask, asked, Client, progress_timeout=0.01)
    assert client.status == 408
    assert "unsubscribe" in "".join(capsys.readouterr())


def test_a_client_that_goes_away_is_logged_with_its_route(
    flask: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = scope("/echo/secret-token", "POST", content__length="26")
    serve(flask, asked, lambda: Client(part(b"ab", more=True), GONE))
    output = capsys.readouterr()
    assert "client_disconnected" in output.out + output.err
    assert "secret-token" not in output.out + output.err


def test_a_body_whose_chunks_are_malformed_is_answered_400(flask: Flask) -> None:
    asked = scope("/echo/secret-token", "POST", transfer__encoding="chunked")
    client = serve(flask, asked, lambda: Client(part(b"ab", more=True), GONE))
    assert client.status == 400
    assert "malformed" in client.body.decode()
    assert "retry-after" not in client.headers


@pytest.mark.parametrize(
    "version, hosts, status",
    [
        ("1.1", [b"prefs.example.com"], 200),
        ("1.1", [b"prefs.example.com", b"evil.example"], 400),
        ("1.1", [b"prefs.example.com", b"prefs.example.com"], 400),
        ("1.1", [], 400),
        ("1.1", [b""], 400),
        ("1", [b"prefs.example.com", b"evil.example"], 400),
        ("1", [b""], 200),
        ("2", [], 200),
    ],
)
def test_a_request_names_one_host(
    flask: Flask, version: str, hosts: list[bytes], status: int
) -> None:
    asked = {**scope("/environ"), "http_version": version}
    asked["headers"] = [(b"host", host) for host in hosts]
    assert serve(flask, asked, Client).status == status


def test_a_large_body_may_take_longer_as_long_as_it_comes_on(flask: Flask) -> None:
    blocks = [part(b"x" * SMALL_BODY_BYTES, more=True)] * 3
    asked = scope("/echo/t", "POST", transfer__encoding="chunked")
    client = serve(flask, asked, lambda: Client(*blocks, part(b"")))
    assert (client.status, len(client.body)) == (200, 3 * SMALL_BODY_BYTES)


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_refused(flask: Flask, announced: bool) -> None:  # noqa: FBT001
    length = {"content__length": str(LIMIT + 1)} if announced else {"transfer__encoding": "chunked"}
    blocks = [part(b"x" * SMALL_BODY_BYTES, more=True)] * 5
    client = serve(flask, scope("/echo/t", "POST", **length), lambda: Client(*blocks))
    assert client.status == 413
    assert announced == (client.sent != [])  # what is refused by its length is not read


def test_large_bodies_take_no_more_memory_than_there_is_for_them(flask: Flask) -> None:
    flask.config["MAX_CONTENT_LENGTH"] = 2 * MAX_LARGE_BODY_BYTES
    blocks = [part(b"x" * (MAX_LARGE_BODY_BYTES // 4), more=True)] * 5
    asked = scope("/v1/echo", "POST", transfer__encoding="chunked")
    client = serve(flask, asked, lambda: Client(*blocks))
    assert client.status == 503
    assert client.headers["content-type"] == "application/problem+json"


def test_a_stream_is_answered_while_it_comes_and_gives_a_silent_client_up(
    flask: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = scope("/stream", "POST", transfer__encoding="chunked")
    client = serve(flask, asked, lambda: Client(part(b"abcdefgh", more=True)), stall_timeout=0.05)
    assert client.got[0]["status"] == 200
    assert client.body.startswith(b"abcd")
    assert "request_timed_out" in "".join(capsys.readouterr())


def test_a_reader_that_stops_reading_is_given_up(
    flask: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    client = serve(flask, scope("/parts"), lambda: Client(reads=3), stall_timeout=0.05)
    assert len(client.got) == 3
    output = "".join(capsys.readouterr())
    assert "client_stalled" in output
    assert "client_disconnected" not in output  # one line, with the cause


def test_a_reader_that_goes_away_ends_the_work(flask: Flask) -> None:
    ended: list[int] = []

    @flask.get("/endless")
    def endless() -> Response:
        def parts() -> Iterator[bytes]:
            try:
                while True:
                    yield b"x"
            finally:
                ended.append(1)

        return Response(parts())

    serve(flask, scope("/endless"), lambda: Client(part(b""), GONE))
    assert ended == [1]


def test_more_streams_than_half_of_the_threads_are_refused(flask: Flask) -> None:
    async def work() -> int:
        bridge = AsgiBridge(flask, 2)
        asked = scope("/stream", "POST", transfer__encoding="chunked")
        first, second = Client(part(b"abcd", more=True)), Client(part(b"abcd", more=True))
        waiting = asyncio.create_task(bridge(asked, first.receive, first.send))
        await first.asked_twice.wait()
        await bridge(asked, second.receive, second.send)
        first.hang_up()
        await asyncio.wait_for(waiting, 60)
        return second.status

    assert run(asyncio.wait_for(work(), 60)) == 503


def test_what_is_no_http_request_is_refused(flask: Flask) -> None:
    with pytest.raises(NotImplementedError):
        serve(flask, {"type": "websocket"}, Client)
