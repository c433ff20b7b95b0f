"""The endpoint of the consent tool for a site in Python, as a WSGI application (PEP 3333).

Mount it at /consent of the site's own origin:

    consent = ConsentEndpoint("https://preferences.example.com/consent/shop")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/consent": consent})  # werkzeug

It needs the standard library alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
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

    `timeout` is in seconds. If the preference center does not answer within it, the response is
    503: nothing optional runs, and the next page asks again.
    """

    def __init__(self, target: str, timeout: float = 3) -> None:
        self._target = urlsplit(target)
        self._timeout = timeout

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            start_response("413 Content Too Large", PLAIN)
            return [b"A choice about cookies is smaller.\n"]
        body = environ["wsgi.input"].read(int(length))
        path = self._target.path + (f"?{query}" if (query := environ.get("QUERY_STRING")) else "")
        is_https = self._target.scheme == "https"
        connect = HTTPSConnection if is_https else HTTPConnection
        connection = connect(self._target.netloc, timeout=self._timeout)
        try:
            connection.request(environ["REQUEST_METHOD"], path, body, dict(_headers(environ)))
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException, ValueError):  # ValueError: what no URL may contain
            start_response("503 Service Unavailable", [*PLAIN, ("Retry-After", "60")])
            return [b"The choice about cookies can't be saved now. Nothing optional is used.\n"]
        finally:
            connection.close()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() in RETURNED]
        start_response(f"{answer.status} {answer.reason}", headers)
        return [content]


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
