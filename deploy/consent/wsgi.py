"""The endpoint of the consent tool for a site in Python, as a WSGI application (PEP 3333).

Mount it at /consent of the site's own origin:

    consent = ConsentEndpoint("https://preferences.example.com/consent/shop", secret="...")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/consent": consent})  # werkzeug

It needs the standard library alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from socket import SHUT_RDWR, socket
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

MAX_BODY_BYTES = 4096
COOKIE = "pc_consent="
PASSED = (
    "Accept", "Accept-Language", "Content-Type", "Origin", "Sec-Fetch-Site", "Sec-GPC",
)  # fmt: skip
RETURNED = {
    "cache-control", "content-language", "content-security-policy", "content-type", "location",
    "referrer-policy", "set-cookie", "x-content-type-options", "x-robots-tag",
}  # fmt: skip
PLAIN = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]


class ConsentEndpoint:
    """Passes requests on to `target`, the site's address at the preference center.

    `timeout` is in seconds, for all of it: name, connection and answer. If the preference center
    does not answer within it, the response is 503 and nothing optional runs; why is in the
    server's error log. `secret` is the site's one of CONSENT_SECRETS there.
    """

    def __init__(self, target: str, timeout: float = 3, secret: str = "") -> None:
        self._target = urlsplit(target)
        self._timeout = timeout
        self._secret = {"X-Consent-Secret": secret} if secret else {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            start_response("413 Content Too Large", PLAIN)
            return [b"A choice about cookies is smaller.\n"]
        body = environ["wsgi.input"].read(int(length))
        path = self._target.path + (f"?{query}" if (query := environ.get("QUERY_STRING")) else "")
        exchange = _Exchange(self._target.scheme, self._target.netloc, self._timeout)
        headers = dict(_headers(environ)) | self._secret
        answer = exchange.ask(environ["REQUEST_METHOD"], path, body, headers)
        if answer is None:
            reason = exchange.problem or f"no whole answer within {self._timeout} s"
            environ["wsgi.errors"].write(f"consent: {self._target.netloc}: {reason}\n")
            start_response("503 Service Unavailable", [*PLAIN, ("Retry-After", "60")])
            return [b"The choice about cookies can't be saved now. Nothing optional is used.\n"]
        status, found, content = answer
        start_response(status, [each for each in found if each[0].lower() in RETURNED])
        return [content]


_Answer = tuple[str, list[tuple[str, str]], bytes]
"""Status, headers and content."""


class _Exchange:
    """One request and its answer, in a thread of their own.

    The time-out of a socket is for each read, so an answer that drips would never end, and the
    look-up of a name has none at all.
    """

    def __init__(self, scheme: str, netloc: str, timeout: float) -> None:
        connect = HTTPSConnection if scheme == "https" else HTTPConnection
        self._connection = connect(netloc, timeout=timeout)
        self._timeout = timeout
        self._socket: socket | None = None
        self._answer: _Answer | None = None
        self.problem = ""

    def ask(self, *request: str | bytes | dict[str, str]) -> _Answer | None:
        """The answer; None if it is not all there in time. Then `problem` may say why."""
        thread = Thread(target=self._run, args=request, daemon=True)
        thread.start()
        thread.join(self._timeout)
        answer = self._answer
        if answer is None and self._socket is not None:
            with suppress(OSError):  # it has just ended
                self._socket.shutdown(SHUT_RDWR)  # which ends the thread
        return answer

    def _run(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            self._connection.request(method, path, body, headers)
            self._socket = self._connection.sock  # the connection forgets it before the answer ends
            answer = self._connection.getresponse()
            content = answer.read()
            self._answer = f"{answer.status} {answer.reason}", answer.getheaders(), content
        except (OSError, HTTPException, ValueError) as error:  # ValueError: what no URL may contain
            self.problem = str(error) or type(error).__name__
        finally:
            self._connection.close()


def _headers(environ: WSGIEnvironment) -> Iterator[tuple[str, str]]:
    """What the preference center needs; of the cookies, its own alone."""
    for name in PASSED:
        key = name.upper().replace("-", "_")
        value = environ.get(key if key == "CONTENT_TYPE" else f"HTTP_{key}")
        if value:
            yield name, value
    yield "X-Forwarded-For", environ.get("REMOTE_ADDR", "")
    for cookie in environ.get("HTTP_COOKIE", "").split(";"):
        if cookie.strip().startswith(COOKIE):
            yield "Cookie", cookie.strip()
            return
