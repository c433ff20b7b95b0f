"""Where our own mail is handed in, as the setting SMTP_URL says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit

from preference_center.errors import ConfigError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class TransportSecurity(StrEnum):
    """How the way to the server is protected."""

    TLS = "tls"
    """From the first octet on (RFC 8314 3.3)."""
    STARTTLS = "starttls"
    """Demanded, never just tried: who can strip it could read the links (RFC 3207 6)."""
    NONE = "none"


_PORTS = {TransportSecurity.TLS: 465, TransportSecurity.STARTTLS: 587, TransportSecurity.NONE: 25}


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server that takes mail from us, and how to reach it."""

    host: str
    port: int
    security: TransportSecurity
    user: str | None = None
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> MailServer:
        """Read `smtps://user:password@host:465` or `smtp://user:password@host:587`.

        `smtp` means STARTTLS unless the query says `starttls=0`. User and password are
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
            raise ConfigError("A password may not cross the network in clear: leave starttls on")
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
