"""Settings of mail that comes in and goes out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import ConfigError, InvalidAddress, InvalidInput
from preference_center.infra.console_settings import Mailboxes, parse_mailboxes
from preference_center.infra.mail_server import MailServer


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
