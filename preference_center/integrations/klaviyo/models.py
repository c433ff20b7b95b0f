"""Klaviyo's responses. By its description nearly every field may be null.

https://github.com/klaviyo/openapi (openapi/stable.json, revision 2026-07-15)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, TypeAdapter

from preference_center.integrations.base.pydantic_types import IsoDatetime, LenientModel

UNSUBSCRIBED, SUBSCRIBED = "UNSUBSCRIBED", "SUBSCRIBED"


class KlaviyoSuppression(LenientModel):
    """A reason why a profile gets no marketing at all."""

    reason: str = ""
    timestamp: IsoDatetime = None


class ListSuppression(LenientModel):
    """A reason why a profile gets nothing from one list."""

    list_id: str = ""
    timestamp: IsoDatetime = None


class _EmailMarketing(LenientModel):
    consent: str = ""
    suppression: list[KlaviyoSuppression] = Field(default_factory=list)
    list_suppressions: list[ListSuppression] = Field(default_factory=list)


class SmsConsent(LenientModel):
    """The consent of a phone number: one for all marketing by SMS."""

    can_receive_sms_marketing: bool = False
    consent: str = ""
    consent_timestamp: IsoDatetime = None
    last_updated: IsoDatetime = None

    @property
    def is_subscribed(self) -> bool:
        """Whether it may be sent any; one of the two fields is enough."""
        return self.can_receive_sms_marketing or self.consent == SUBSCRIBED

    @property
    def changed_at(self) -> datetime | None:
        """When the consent was last changed (UTC)."""
        return self.last_updated or self.consent_timestamp


class _EmailSubscription(LenientModel):
    marketing: _EmailMarketing = _EmailMarketing()


class _SmsSubscription(LenientModel):
    marketing: SmsConsent = SmsConsent()


class _Subscriptions(LenientModel):
    email: _EmailSubscription = _EmailSubscription()
    sms: _SmsSubscription = _SmsSubscription()


class _ProfileAttributes(LenientModel):
    email: str = ""
    phone_number: str = ""
    subscriptions: _Subscriptions = _Subscriptions()
    properties: dict[str, Any] = Field(default_factory=dict)


class KlaviyoProfile(LenientModel):
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


class PageLinks(LenientModel):
    """The link to the next page of a listing."""

    next: str = ""

    @property
    def next_cursor(self) -> str:
        """The `page[cursor]` of the link to the next page; "" if this is the last."""
        return "".join(parse_qs(urlsplit(self.next).query).get("page[cursor]", []))


class _ProfilesResponse(LenientModel):
    data: list[KlaviyoProfile]
    links: PageLinks = PageLinks()


class _ProfileResponse(LenientModel):
    data: KlaviyoProfile


class _ListAttributes(LenientModel):
    name: str = ""


class _KlaviyoList(LenientModel):
    id: str = ""
    attributes: _ListAttributes = _ListAttributes()


class _KlaviyoListsResponse(LenientModel):
    data: list[_KlaviyoList]
    links: PageLinks = PageLinks()


class _BulkJob(LenientModel):
    id: str = ""


class _BulkJobResponse(LenientModel):
    data: _BulkJob


PROFILES_RESPONSE = TypeAdapter(_ProfilesResponse)
PROFILE_RESPONSE = TypeAdapter(_ProfileResponse)
LISTS_RESPONSE = TypeAdapter(_KlaviyoListsResponse)
BULK_JOB_RESPONSE = TypeAdapter(_BulkJobResponse)


@dataclass(frozen=True, slots=True)
class ProfilesPage:
    """A page of profiles, and where the next one begins; "" if this is the last."""

    rows: tuple[KlaviyoProfile, ...]
    next_cursor: str
