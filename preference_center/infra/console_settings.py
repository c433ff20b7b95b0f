"""Settings of the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from preference_center.core.errors import InvalidInput
from preference_center.core.staff import Role, parse_roles

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Whose provider may have plain http, to try it."""


class ConsoleSettings(BaseSettings):
    """The part of `infra.config.Settings` that is about the console."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    console_url: str | None = Field(
        default=None,
        description="URL of a host of its own for the console, https://console.internal.example:"
        " /console answers 404 on every other host then, PUBLIC_URL's too",
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
