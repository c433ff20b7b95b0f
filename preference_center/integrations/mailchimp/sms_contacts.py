"""The contacts of a Mailchimp audience that have a phone number.

https://github.com/mailchimp/mailchimp-client-lib-codegen (spec/marketing.json, 3.0.91)
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from http import HTTPStatus

from pydantic import Field, TypeAdapter

from preference_center.integrations.base.http import Rejected
from preference_center.integrations.base.pydantic_types import Lenient, Moment
from preference_center.integrations.mailchimp.client import Audience

PAGE = 1_000
SUBSCRIBED, UNSUBSCRIBED, ARCHIVED = "subscribed", "unsubscribed", "archived"
DENIED, CONSENTED, CONFIRMED = "denied", "consented", "confirmed"
_CONTACTS = "/3.0/audiences/{audience}/contacts"
_CONTACT = f"{_CONTACTS}/{{contact}}"
_AUDIENCE = "/3.0/lists/{audience}"


class _Value(Lenient):
    value: str = ""


class _Sms(Lenient):
    sms_phone: str = ""
    hashed_sms_phone: str = ""
    effective_subscription_status: _Value = _Value()


class TextContact(Lenient):
    """One contact, as far as text messages go."""

    id: str = ""
    status: str = ""
    sms_channel: _Sms = _Sms()
    last_updated_at: Moment = None

    @property
    def phone(self) -> str:
        """The number in E.164; "" if there is none."""
        return self.sms_channel.sms_phone

    @property
    def hash(self) -> str:
        """Mailchimp's hash of the number."""
        return self.sms_channel.hashed_sms_phone

    @property
    def value(self) -> str:
        """What comes of all consents: subscribed, unsubscribed, nonsubscribed or pending."""
        return self.sms_channel.effective_subscription_status.value


class TextPage(Lenient):
    """A page of contacts, and where the next one begins; "" if this is the last."""

    contacts: list[TextContact] = Field(default_factory=list)
    next_cursor: str = ""


class _OptIn(Lenient):
    double_optin: bool = False


_ONE, _PAGE, _OPT_IN = TypeAdapter(TextContact), TypeAdapter(TextPage), TypeAdapter(_OptIn)


class TextContacts:
    """The contacts of one audience, for one push or page."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience

    @cached_property
    def granted(self) -> str:
        """What a consent is called there: it depends on whether the audience asks twice."""
        query = {"fields": "double_optin"}
        found = self._audience.send("GET", _AUDIENCE, query=query).parse(_OPT_IN)
        return CONFIRMED if found.double_optin else CONSENTED

    def of(self, number: str) -> TextContact | int | None:
        """The contact with this number; None if there is none, 400 if it is no number."""
        answer = self._audience.send(
            "GET",
            _CONTACT,
            query={},
            allow={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND},
            contact=f"sms:{hashed(number)}",
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return answer.status if answer.status == HTTPStatus.BAD_REQUEST else answer.parse(_ONE)

    def consent(self, contact: TextContact, number: str, consent: str) -> TextContact | None:
        """The contact once its SMS consent is changed; None if that is rejected."""
        asked = {"sms_phone": number, "marketing_consent": {"status": consent}}
        answer = self._audience.send(
            "PATCH",
            _CONTACT,
            query={"merge_field_validation_mode": "ignore_required_checks"},
            body={"sms_channel": asked},
            allow={HTTPStatus.BAD_REQUEST},
            contact=contact.id or f"sms:{hashed(number)}",
        )
        return None if answer.status == HTTPStatus.BAD_REQUEST else answer.parse(_ONE)

    def page(self, since: str, token: str) -> TextPage:
        """A page of contacts by time of change; from the beginning for a token that is gone."""
        query = {"count": str(PAGE), "sort_field": "updated_at", "sort_dir": "ASC"}
        if since:
            query["updated_since"] = since
        try:
            asked = query | ({"cursor": token} if token else {})
            return self._audience.send("GET", _CONTACTS, query=asked).parse(_PAGE)
        except Rejected:
            if not token:
                raise
            return self._audience.send("GET", _CONTACTS, query=query).parse(_PAGE)


def hashed(number: str) -> str:
    """SHA-256 of a number in E.164: Mailchimp's name for it, and no protection."""
    return hashlib.sha256(number.encode()).hexdigest()
