"""The server for outgoing mail, parsed from the setting SMTP_URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit

from preference_center.core.errors import ConfigError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class TransportSecurity(StrEnum):
    """How the connection to the server is protected."""

    TLS = "tls"
    """Implicit TLS (RFC 8314 3.3)."""
    STARTTLS = "starttls"
    """Required, not opportunistic: an attacker who strips it could read the links (RFC 3207 6)."""
    NONE = "none"


_PORTS = {TransportSecurity.TLS: 465, TransportSecurity.STARTTLS: 587, TransportSecurity.NONE: 25}


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server for outgoing mail, and how to connect to it."""

    host: str
    port: int
    security: TransportSecurity
    user: str | None = None
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> MailServer:
        """Read `smtps://user:password@host:465` or `smtp://user:password@host:587`.

        `smtp` means STARTTLS unless the query has `starttls=0`. User and password are
        percent-encoded. Raises ConfigError, which never shows the URL.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            query = dict(parse_qsl(parts.query, strict_parsing=True) if parts.query else ())
        except ValueError:
            raise ConfigError("Write it as smtp://user:password@host:587") from None
        if parts.scheme not in {"smtp", "smtps"} or not host or parts.path.strip("/"):
            raise ConfigError("Write it as smtp://user:password@host:587 or smtps://host")
        security = _parse_security(parts.scheme, query)
        if parts.username and security is TransportSecurity.NONE and host not in LOOPBACK:
            raise ConfigError("A password may not be sent unencrypted: leave starttls on")
        return cls(
            host=host,
            port=port or _PORTS[security],
            security=security,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password or ""),
        )


def _parse_security(scheme: str, query: dict[str, str]) -> TransportSecurity:
    if scheme == "smtps" and not query:
        return TransportSecurity.TLS
    if scheme == "smtp" and query in ({}, {"starttls": "1"}):
        return TransportSecurity.STARTTLS
    if scheme == "smtp" and query == {"starttls": "0"}:
        return TransportSecurity.NONE
    raise ConfigError("The only option is starttls=0 or 1, and smtps has none")
