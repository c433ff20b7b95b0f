"""Klaviyo's responses. By its description nearly every field may be null.

https://github.com/klaviyo/openapi (openapi/stable.json, revision 2026-07-15)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from preference_center.integrations.base import runtime

UNSUBSCRIBED, SUBSCRIBED = "UNSUBSCRIBED", "SUBSCRIBED"


class KlaviyoSuppression(runtime.LenientModel):
    """A reason why a profile gets no marketing at all."""

    reason: str = ""
    timestamp: runtime.IsoDatetime = None


class ListSuppression(runtime.LenientModel):
    """A reason why a profile gets nothing from one list."""

    list_id: str = ""
    timestamp: runtime.IsoDatetime = None


class _EmailMarketing(runtime.LenientModel):
    consent: str = ""
    suppression: list[KlaviyoSuppression] = Field(default_factory=list)
    list_suppressions: list[ListSuppression] = Field(default_factory=list)


class SmsConsent(runtime.LenientModel):
    """The consent of a phone number: one for all marketing by SMS."""

    can_receive_sms_marketing: bool = False
    consent: str = ""
    consent_timestamp: runtime.IsoDatetime = None
    last_updated: runtime.IsoDatetime = None

    @property
    def is_subscribed(self) -> bool:
        """Whether it may be sent any; one of the two fields is enough."""
        return self.can_receive_sms_marketing or self.consent == SUBSCRIBED

    @property
    def changed_at(self) -> datetime | None:
        """When the consent was last changed (UTC)."""
        return self.last_updated or self.consent_timestamp


class _EmailSubscription(runtime.LenientModel):
    marketing: _EmailMarketing = _EmailMarketing()


class _SmsSubscription(runtime.LenientModel):
    marketing: SmsConsent = SmsConsent()


class _Subscriptions(runtime.LenientModel):
    email: _EmailSubscription = _EmailSubscription()
    sms: _SmsSubscription = _SmsSubscription()


class _ProfileAttributes(runtime.LenientModel):
    email: str = ""
    phone_number: str = ""
    subscriptions: _Subscriptions = _Subscriptions()
    properties: dict[str, Any] = Field(default_factory=dict)


class KlaviyoProfile(runtime.LenientModel):
    """One person in Klaviyo. A missing email address or phone number is ""."""

    id: str = ""
    attributes: _ProfileAttributes = _ProfileAttributes()

    @property
    def email(self) -> str:
        """The email address."""
        return self.attributes.email

    @property
    def phone(self) -> str:
        """The phone number, in E.164."""
        return self.attributes.phone_number

    @property
    def sms_consent(self) -> SmsConsent:
        """Their SMS consent."""
        return self.attributes.subscriptions.sms.marketing

    @property
    def _email_marketing(self) -> _EmailMarketing:
        return self.attributes.subscriptions.email.marketing

    @property
    def suppressions(self) -> Sequence[KlaviyoSuppression]:
        """The suppressions of all marketing to them."""
        return self._email_marketing.suppression

    @property
    def list_suppressions(self) -> Sequence[ListSuppression]:
        """The suppressions of single lists."""
        return self._email_marketing.list_suppressions

    @property
    def is_fully_suppressed(self) -> bool:
        """Whether they are sent no marketing at all."""
        return bool(self.suppressions) or self._email_marketing.consent == UNSUBSCRIBED


class PageLinks(runtime.LenientModel):
    """The link to the next page of a listing."""

    next: str = ""

    @property
    def next_cursor(self) -> str:
        """The `page[cursor]` of the link to the next page; "" if this is the last."""
        return "".join(parse_qs(urlsplit(self.next).query).get("page[cursor]", []))


class ProfilesResponse(runtime.LenientModel):
    """A page of profiles."""

    data: list[KlaviyoProfile]
    links: PageLinks = PageLinks()


class _ListAttributes(runtime.LenientModel):
    name: str = ""


class KlaviyoList(runtime.LenientModel):
    """One list."""

    id: str = ""
    attributes: _ListAttributes = _ListAttributes()


class ListsResponse(runtime.LenientModel):
    """A page of lists."""

    data: list[KlaviyoList]
    links: PageLinks = PageLinks()


class BulkJob(runtime.LenientModel):
    """A job that was accepted."""

    id: str = ""
