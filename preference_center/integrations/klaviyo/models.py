"""What Klaviyo answers with. Nearly all of it may be null, says its description.

https://github.com/klaviyo/openapi (openapi/stable.json, revision 2026-07-15)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, TypeAdapter

from preference_center.integrations.base.pydantic_types import Lenient, Moment

UNSUBSCRIBED, SUBSCRIBED = "UNSUBSCRIBED", "SUBSCRIBED"


class Suppression(Lenient):
    """Why a profile gets no marketing at all."""

    reason: str = ""
    timestamp: Moment = None


class ListSuppression(Lenient):
    """Why a profile gets nothing from one list."""

    list_id: str = ""
    timestamp: Moment = None


class _Marketing(Lenient):
    consent: str = ""
    suppression: list[Suppression] = Field(default_factory=list)
    list_suppressions: list[ListSuppression] = Field(default_factory=list)


class Texts(Lenient):
    """What a phone number has agreed to: one answer for all marketing by SMS."""

    can_receive_sms_marketing: bool = False
    consent: str = ""
    consent_timestamp: Moment = None
    last_updated: Moment = None

    @property
    def are_sent(self) -> bool:
        """Whether it may be sent any; also if only one of two fields says so."""
        return self.can_receive_sms_marketing or self.consent == SUBSCRIBED

    @property
    def changed_at(self) -> datetime | None:
        """When the consent was last changed (UTC)."""
        return self.last_updated or self.consent_timestamp


class _Email(Lenient):
    marketing: _Marketing = _Marketing()


class _Sms(Lenient):
    marketing: Texts = Texts()


class _Subscriptions(Lenient):
    email: _Email = _Email()
    sms: _Sms = _Sms()


class _Attributes(Lenient):
    email: str = ""
    phone_number: str = ""
    subscriptions: _Subscriptions = _Subscriptions()
    properties: dict[str, Any] = Field(default_factory=dict)


class Profile(Lenient):
    """One person in Klaviyo. Who is known by one address only has "" for the other."""

    id: str = ""
    attributes: _Attributes = _Attributes()

    @property
    def email(self) -> str:
        """The email address."""
        return self.attributes.email

    @property
    def phone(self) -> str:
        """The phone number, in E.164."""
        return self.attributes.phone_number

    @property
    def texts(self) -> Texts:
        """What they get by SMS."""
        return self.attributes.subscriptions.sms.marketing

    @property
    def _marketing(self) -> _Marketing:
        return self.attributes.subscriptions.email.marketing

    @property
    def suppressions(self) -> Sequence[Suppression]:
        """What stops all marketing to them."""
        return self._marketing.suppression

    @property
    def list_suppressions(self) -> Sequence[ListSuppression]:
        """What stops single lists."""
        return self._marketing.list_suppressions

    @property
    def gets_nothing(self) -> bool:
        """Whether no marketing goes to them at all."""
        return bool(self.suppressions) or self._marketing.consent == UNSUBSCRIBED


class Links(Lenient):
    """Where the listing goes on."""

    next: str = ""

    @property
    def cursor(self) -> str:
        """The `page[cursor]` of the link to the next page; "" if this is the last."""
        return "".join(parse_qs(urlsplit(self.next).query).get("page[cursor]", []))


class _ProfilesPage(Lenient):
    data: list[Profile]
    links: Links = Links()


class _One(Lenient):
    data: Profile


class _Name(Lenient):
    name: str = ""


class _List(Lenient):
    id: str = ""
    attributes: _Name = _Name()


class _Lists(Lenient):
    data: list[_List]
    links: Links = Links()


class _Job(Lenient):
    id: str = ""


class _JobMade(Lenient):
    data: _Job


PROFILES_PAGE = TypeAdapter(_ProfilesPage)
ONE = TypeAdapter(_One)
LISTS = TypeAdapter(_Lists)
JOB = TypeAdapter(_JobMade)


@dataclass(frozen=True, slots=True)
class Profiles:
    """A page of profiles, and where the next one begins; "" if this is the last."""

    rows: tuple[Profile, ...]
    cursor: str
