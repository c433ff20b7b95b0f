"""An OpenID Connect provider that does whatever a test wants: real HTTP, tokens by joserfc."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

CLIENT_ID = "console"
SECRET = "a secret: with + and /"
GROUPS = "support=helpdesk, compliance=privacy, admin=leads"

KEY = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})
OTHER_KEY = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})
NEW_KEY = ECKey.generate_key("P-256", {"kid": "k2", "use": "sig", "alg": "ES256"})

Answer = tuple[int, Any]


@dataclass
class FakeProvider:
    """`claims` are those of the ID token, `userinfo` of its endpoint; a test changes them."""

    issuer: str
    now: Callable[[], datetime]
    nonce: str = ""
    challenge: str = ""
    """Of PKCE, as the browser brought it."""
    subject: str = "u-1"
    groups: list[str] | str | None = field(default_factory=lambda: ["helpdesk"])
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    """Of the token endpoint's answer."""
    statuses: dict[str, int] = field(default_factory=dict)
    """Of paths that fail."""
    encode: Callable[[dict[str, Any]], str] | None = None
    """Instead of the right signature."""
    keys: list[Any] = field(default_factory=lambda: [KEY])
    is_frozen: bool = False
    """Whether it accepts connections and never answers."""
    released: Event = field(default_factory=Event)
    requests: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    def answer(self, path: str, form: dict[str, str], headers: dict[str, str]) -> Answer:
        self.requests.append((path, form, headers))
        if self.is_frozen:
            self.released.wait(10)
        if path in self.statuses:
            return self.statuses[path], {"error": "invalid_grant"}
        match path:
            case "/.well-known/openid-configuration":
                return 200, self.document()
            case "/keys":
                return 200, {"keys": [key.as_dict(private=False) for key in self.keys]}
            case "/token":
                return self.issue(form)
            case "/userinfo":
                return 200, {"sub": self.subject, **self.shown_groups(), **self.userinfo}
            case _:
                return 404, {}

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "end_session_endpoint": f"{self.issuer}/logout?realm=staff",
            "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        } | self.metadata

    def shown_groups(self) -> dict[str, Any]:
        return {} if self.groups is None else {"groups": self.groups}

    def issue(self, form: dict[str, str]) -> Answer:
        if form["grant_type"] == "authorization_code":
            digest = sha256(form["code_verifier"].encode()).digest()
            if urlsafe_b64encode(digest).rstrip(b"=").decode() != self.challenge:
                return 400, {"error": "invalid_grant"}
        answer = {
            "access_token": "access",
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": "refresh",
            "id_token": self.id_token(),
        } | self.tokens
        return 200, {name: value for name, value in answer.items() if value is not None}

    def id_token(self) -> str:
        second = int(self.now().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": self.subject,
            "iat": second,
            "exp": second + 300,
            "nonce": self.nonce,
            "preferred_username": "ada@example.com",
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        return (self.encode or sign)(claims)

    def count(self, path: str) -> int:
        return sum(asked == path for asked, *_ in self.requests)


def sign(claims: dict[str, Any], key: ECKey = KEY) -> str:
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key, ["ES256"])


@contextmanager
def fake_provider(now: Callable[[], datetime]) -> Iterator[FakeProvider]:
    """A provider on a port of its own, that goes by a test's clock."""
    provider = FakeProvider("", now)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            form = dict(parse_qsl(self.rfile.read(size).decode()))
            status, body = provider.answer(urlsplit(self.path).path, form, dict(self.headers))
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            except OSError:
                pass  # the service did not wait

        do_POST = do_GET  # noqa: N815 - as http.server calls it

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield provider
    finally:
        provider.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
