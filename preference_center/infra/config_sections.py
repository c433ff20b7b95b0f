"""These sections of the settings configure the console, mailboxes and the outgoing mail server.

`infra.config.Settings` inherits the sections. `MailServer` is parsed from the setting SMTP_URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import ConfigError, InvalidAddress, InvalidInput
from preference_center.core.staff import Role, parse_roles

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Whose provider may have plain http, to try it."""


class ConsoleSettings(BaseSettings):
    """The part of `infra.config.Settings` that is about the console."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    console_url: str | None = Field(
        default=None,
        description="URL of the console, whose process listens on CONSOLE_PORT, as in"
        " https://console.internal.example; without it PUBLIC_URL, whose proxy has to pass"
        " /console on to that port",
    )
    console_oidc_issuer: str | None = Field(
        default=None,
        description="OpenID Connect provider that staff sign in with, as in its discovery"
        " document: https://login.example.com, if any",
    )
    console_oidc_client_id: str = Field(default="", description="Our client id there")
    console_oidc_client_secret: str = Field(
        default="", repr=False, description="Our client secret there"
    )
    console_oidc_scope: str = Field(
        default="openid profile",
        description="What we ask it for; offline_access, too, where it gives refresh tokens for"
        " that only",
    )
    console_oidc_roles: str = Field(
        default="",
        validate_default=True,
        description="Which groups of the provider have which role:"
        " support=helpdesk, compliance=privacy-team, operator=platform, admin=platform-leads",
    )
    console_oidc_groups_claim: str = Field(
        default="groups", description="The claim that lists somebody's groups"
    )
    console_oidc_name_claim: str = Field(
        default="preferred_username",
        description="The claim with the name for the audit; what follows an @ is left out",
    )

    @field_validator("console_url")
    @classmethod
    def _validate_console_url(cls, url: str | None) -> str | None:
        if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise ValueError("write it as in https://console.internal.example")
        return url

    @field_validator("console_oidc_issuer")
    @classmethod
    def _validate_console_oidc_issuer(cls, url: str | None) -> str | None:
        if not url:
            return None
        parts = urlsplit(url)
        is_local = parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS
        if not parts.hostname or not (parts.scheme == "https" or is_local):
            raise ValueError("write it as in https://login.example.com, without http")
        if parts.query or parts.fragment:
            raise ValueError("an issuer has no ? and no #")
        return url

    @field_validator("console_oidc_scope")
    @classmethod
    def _validate_console_oidc_scope(cls, text: str) -> str:
        if "openid" not in text.split():
            raise ValueError("begin with openid, as in: openid profile")
        return text

    @field_validator("console_oidc_roles")
    @classmethod
    def _validate_console_oidc_roles(cls, text: str, info: ValidationInfo) -> str:
        try:
            groups = parse_role_groups(text)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        if info.data.get("console_oidc_issuer"):
            if not info.data.get("console_oidc_client_id"):
                raise ValueError("CONSOLE_OIDC_CLIENT_ID must be set where the issuer is")
            if not groups:
                raise ValueError("name a group for at least one role: admin=platform-leads")
        return text

    @property
    def console_host(self) -> str | None:
        """The only host of the console, in lower case and without a port; None: any."""
        return urlsplit(self.console_url).hostname if self.console_url else None


def parse_role_groups(text: str) -> Mapping[str, frozenset[Role]]:
    """The roles of each group, from `role=group, role=group`. Raises InvalidInput."""
    groups: dict[str, frozenset[Role]] = {}
    for entry in filter(None, map(str.strip, text.split(","))):
        role, equals, group = (part.strip() for part in entry.partition("="))
        if not equals or not group:
            raise InvalidInput(f"{entry!r}: write role=group, as in support=helpdesk")
        groups[group] = groups.get(group, frozenset()) | parse_roles([role])
    return groups


class MailboxKind(StrEnum):
    """What a mailbox receives."""

    REPLIES = "replies"
    REPORTS = "reports"
    RIGHTS = "rights"
    """Data-subject requests."""


@dataclass(frozen=True, slots=True)
class MailboxMatch:
    """The mailbox that a mail was sent to, and the rest of its address: a tag or a token."""

    kind: MailboxKind
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """The configured mailboxes: `stop@example.com`, or a whole domain, `@stop.example.com`."""

    replies: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()

    def match(self, recipient: str) -> MailboxMatch | None:
        """The mailbox of an envelope recipient; None if it is not one of ours.

        `stop+acme.offers@example.com` is delivered to `stop@example.com`; in a whole domain the
        local part is free.
        """
        local, _, domain = recipient.strip().strip("<>").lower().rpartition("@")
        base, _, tag = local.partition("+")
        for kind, addresses in (
            (MailboxKind.REPLIES, self.replies),
            (MailboxKind.REPORTS, self.reports),
            (MailboxKind.RIGHTS, self.rights),
        ):
            if f"{local}@{domain}" in addresses:
                return MailboxMatch(kind)
            if f"{base}@{domain}" in addresses:
                return MailboxMatch(kind, tag)
            if local and f"@{domain}" in addresses:
                return MailboxMatch(kind, local)
        return None


def parse_mailboxes(text: str) -> tuple[str, ...]:
    """The addresses and domains in a setting, separated by commas.

    Raises InvalidInput for anything else.
    """
    found = [place.strip().lower() for place in text.split(",") if place.strip()]
    for place in found:
        local, _, domain = place.partition("@")
        if "." not in domain or "@" in domain or "+" in local or set(place) & set(' <>;"'):
            raise InvalidInput(
                "write addresses, as stop@example.com, or domains, as @stop.example.com,"
                " with commas between them and without a plus"
            )
    return tuple(found)


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


class MailSettings(BaseSettings):
    """The part of `infra.config.Settings` that is about mail."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    unsubscribe_mail_domain: str | None = Field(
        default=None, description="Domain on which mailto opt-outs are received, if any"
    )
    mail_receiver_host: str = Field(
        default="127.0.0.1", description="Host on which the process `mail` listens"
    )
    mail_receiver_port: int | None = Field(
        default=None, ge=1, le=65535, description="Its port; without one it receives no mail"
    )
    mail_receiver_protocol: Literal["lmtp", "smtp"] = Field(
        default="lmtp", description="Its protocol: lmtp with your mail server, or smtp"
    )
    reply_addresses: str = Field(
        default="",
        description="Mailboxes for replies (may opt out): stop@example.com, @replies.example.com",
    )
    report_addresses: str = Field(
        default="", description="Mailboxes for bounces and spam complaints, in the same format"
    )
    rights_addresses: str = Field(
        default="", description="Mailboxes for data-subject requests, in the same format"
    )
    unauthenticated_reports: Literal["accept", "review"] = Field(
        default="review",
        description="Reports that nothing authenticates: accept them, or queue them for review",
    )
    trusted_reporters: str = Field(
        default="",
        description="From addresses whose DKIM-signed reports are accepted without a token of ours:"
        " feedback@arf.example.net, @fbl.example.org",
    )
    smtp_url: str | None = Field(
        default=None,
        repr=False,
        description="Server for outgoing mail: smtp://user:password@host:587 or smtps://, if any",
    )
    mail_from: str | None = Field(
        default=None,
        validate_default=True,
        description="Its From where the catalogue has no contact: Example <choices@example.com>",
    )

    @field_validator("trusted_reporters")
    @classmethod
    def _validate_trusted_reporters(cls, text: str) -> str:
        try:
            parse_mailboxes(text)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        return text

    @field_validator("reply_addresses", "report_addresses", "rights_addresses")
    @classmethod
    def _validate_mailbox_addresses(cls, text: str, info: ValidationInfo) -> str:
        try:
            addresses = parse_mailboxes(text)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        others = {"reply_addresses", "report_addresses"} - {info.field_name}
        taken = {each for name in others for each in parse_mailboxes(info.data.get(name, ""))}
        if set(addresses) & taken:
            raise ValueError("an address is for replies, for reports or for requests: for one")
        return text

    @field_validator("smtp_url")
    @classmethod
    def _validate_smtp_url(cls, url: str | None) -> str | None:
        try:
            MailServer.parse(url or "smtp://none")
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return url

    @field_validator("mail_from")
    @classmethod
    def _validate_mail_from(cls, sender: str | None, info: ValidationInfo) -> str | None:
        if not sender and info.data.get("smtp_url"):
            raise ValueError("must be set where SMTP_URL is")
        try:
            parse_address(sender or "nobody@example.com", Channel.EMAIL)
        except InvalidAddress:
            raise ValueError("write it as in Example <choices@example.com>") from None
        return sender

    @property
    def mailboxes(self) -> Mailboxes:
        """The mailboxes for replies, reports and requests."""
        return Mailboxes(
            parse_mailboxes(self.reply_addresses),
            parse_mailboxes(self.report_addresses),
            parse_mailboxes(self.rights_addresses),
        )

    @property
    def trusted_reporter_addresses(self) -> tuple[str, ...]:
        """Addresses and domains of `trusted_reporters`."""
        return parse_mailboxes(self.trusted_reporters)

    @property
    def mail_server(self) -> MailServer | None:
        """The server of `smtp_url`; None without it: then no mail can be sent."""
        return MailServer.parse(self.smtp_url) if self.smtp_url else None
