"""The endpoint of the consent tool for a site in Python, as an ASGI application.

Mount it at /consent of the site's own origin:

    consent = ConsentEndpoint("https://preferences.example.com/consent/shop", secret="...")
    app.mount("/consent", consent)

It needs httpx, and works below Starlette, FastAPI, Quart and Django alike.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio  # comes with httpx
import httpx

log = logging.getLogger("consent")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 4096
COOKIE = b"pc_consent="
PASSED = {
    b"accept", b"accept-language", b"content-type", b"origin", b"sec-fetch-site", b"sec-gpc",
}  # fmt: skip
RETURNED = {
    b"cache-control", b"content-language", b"content-security-policy", b"content-type",
    b"location", b"referrer-policy", b"set-cookie", b"x-content-type-options", b"x-robots-tag",
}  # fmt: skip


class ConsentEndpoint:
    """Passes requests on to `target`, the site's address at the preference center.

    `timeout` is in seconds, for all of it: name, connection and answer. If the preference center
    does not answer within it, the response is 503 and nothing optional runs; why is logged.
    `secret` is the site's one of CONSENT_SECRETS there.
    """

    def __init__(self, target: str, timeout: float = 3, secret: str = "") -> None:
        self._target = target
        self._timeout = timeout
        self._secret = [(b"x-consent-secret", secret.encode())] if secret else []
        self._client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = await _read(receive)
        if body is None:
            await _answer(send, 413, b"A choice about cookies is smaller.\n")
            return
        query = scope["query_string"].decode("latin-1")
        url = f"{self._target}?{query}" if query else self._target
        headers = [*_headers(scope), *self._secret]
        try:
            request = httpx.Request(scope["method"], url, headers=headers, content=body)
            # The client's own time-out is for each read, so an answer that drips would never end.
            with anyio.fail_after(self._timeout):
                answer = await self._client.send(request)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            reason = str(error) or f"no whole answer within {self._timeout} s"
            log.warning("%s: %s", httpx.URL(self._target).host, reason)
            text = b"The choice about cookies can't be saved now. Nothing optional is used.\n"
            await _answer(send, 503, text, (b"retry-after", b"60"))
            return
        headers = [(name.lower(), value) for name, value in answer.headers.raw]
        headers = [each for each in headers if each[0] in RETURNED]
        start = {"type": "http.response.start", "status": answer.status_code, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": answer.content})


async def _read(receive: Receive) -> bytes | None:
    """The body; None if it is larger than any choice."""
    body, more = b"", True
    while more and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body if len(body) <= MAX_BODY_BYTES else None


def _headers(scope: Message) -> list[tuple[bytes, bytes]]:
    """What the preference center needs; of the cookies, its own alone."""
    sent = scope["headers"]
    headers = [(name, value) for name, value in sent if name in PASSED]
    headers.append((b"x-forwarded-for", (scope.get("client") or ("",))[0].encode()))
    cookies = (
        part.strip() for name, value in sent if name == b"cookie" for part in value.split(b";")
    )
    ours = next((cookie for cookie in cookies if cookie.startswith(COOKIE)), None)
    return [*headers, (b"cookie", ours)] if ours else headers


async def _answer(send: Send, status: int, text: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *more]})
    await send({"type": "http.response.body", "body": text})
