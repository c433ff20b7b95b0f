"""The contacts of a Mailchimp audience that have a phone number.

https://github.com/mailchimp/mailchimp-client-lib-codegen (spec/marketing.json, 3.0.91)
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from http import HTTPStatus

from pydantic import Field, TypeAdapter

from preference_center.integrations.base.http import RequestRejected
from preference_center.integrations.base.pydantic_types import IsoDatetime, LenientModel
from preference_center.integrations.mailchimp.client import MailchimpClient

PAGE_SIZE = 1_000
SUBSCRIBED, UNSUBSCRIBED, ARCHIVED = "subscribed", "unsubscribed", "archived"
DENIED, CONSENTED, CONFIRMED = "denied", "consented", "confirmed"
_CONTACTS = "/3.0/audiences/{audience}/contacts"
_CONTACT = f"{_CONTACTS}/{{contact}}"
_AUDIENCE = "/3.0/lists/{audience}"


class _StatusValue(LenientModel):
    value: str = ""


class _SmsChannel(LenientModel):
    sms_phone: str = ""
    hashed_sms_phone: str = ""
    effective_subscription_status: _StatusValue = _StatusValue()


class SmsContact(LenientModel):
    """One contact and its SMS consent."""

    id: str = ""
    status: str = ""
    sms_channel: _SmsChannel = _SmsChannel()
    last_updated_at: IsoDatetime = None

    @property
    def phone(self) -> str:
        """The number in E.164; "" if there is none."""
        return self.sms_channel.sms_phone

    @property
    def phone_hash(self) -> str:
        """Mailchimp's hash of the number."""
        return self.sms_channel.hashed_sms_phone

    @property
    def subscription_status(self) -> str:
        """The status by all consents: subscribed, unsubscribed, nonsubscribed or pending."""
        return self.sms_channel.effective_subscription_status.value


class SmsContactPage(LenientModel):
    """A page of contacts, and where the next one begins; "" if this is the last."""

    contacts: list[SmsContact] = Field(default_factory=list)
    next_cursor: str = ""


class _AudienceOptIn(LenientModel):
    double_optin: bool = False


_CONTACT_RESPONSE, _CONTACT_PAGE, _OPT_IN = (
    TypeAdapter(SmsContact),
    TypeAdapter(SmsContactPage),
    TypeAdapter(_AudienceOptIn),
)


class SmsContactsClient:
    """The contacts of one audience, for one push or page."""

    def __init__(self, client: MailchimpClient) -> None:
        self._client = client

    @cached_property
    def opt_in_consent(self) -> str:
        """The name of a consent, which depends on the audience's double opt-in."""
        query = {"fields": "double_optin"}
        found = self._client.send("GET", _AUDIENCE, query=query).parse(_OPT_IN)
        return CONFIRMED if found.double_optin else CONSENTED

    def find(self, number: str) -> SmsContact | int | None:
        """The contact with this number; None if there is none, 400 for an invalid number."""
        response = self._client.send(
            "GET",
            _CONTACT,
            query={},
            allowed_statuses={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND},
            contact=f"sms:{hash_phone(number)}",
        )
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        return (
            response.status
            if response.status == HTTPStatus.BAD_REQUEST
            else response.parse(_CONTACT_RESPONSE)
        )

    def update_consent(self, contact: SmsContact, number: str, consent: str) -> SmsContact | None:
        """The contact after the change of its SMS consent; None if that is rejected."""
        asked = {"sms_phone": number, "marketing_consent": {"status": consent}}
        response = self._client.send(
            "PATCH",
            _CONTACT,
            query={"merge_field_validation_mode": "ignore_required_checks"},
            body={"sms_channel": asked},
            allowed_statuses={HTTPStatus.BAD_REQUEST},
            contact=contact.id or f"sms:{hash_phone(number)}",
        )
        return (
            None if response.status == HTTPStatus.BAD_REQUEST else response.parse(_CONTACT_RESPONSE)
        )

    def list_contacts(self, since: str, token: str) -> SmsContactPage:
        """A page of contacts by time of change; the first one if the token has expired."""
        query = {"count": str(PAGE_SIZE), "sort_field": "updated_at", "sort_dir": "ASC"}
        if since:
            query["updated_since"] = since
        try:
            asked = query | ({"cursor": token} if token else {})
            return self._client.send("GET", _CONTACTS, query=asked).parse(_CONTACT_PAGE)
        except RequestRejected:
            if not token:
                raise
            return self._client.send("GET", _CONTACTS, query=query).parse(_CONTACT_PAGE)


def hash_phone(number: str) -> str:
    """SHA-256 of a number in E.164: Mailchimp's id of the contact, not a protection."""
    return hashlib.sha256(number.encode()).hexdigest()
