"""`KlaviyoClient` calls Klaviyo's API (JSON:API) for lists and profiles.

https://developers.klaviyo.com/en/reference/api_overview
https://github.com/klaviyo/openapi (openapi/stable.json, revision 2026-07-15)
By that description nearly every field of a response may be null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
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


ACCOUNT_URL = "https://a.klaviyo.com"


REVISION = "2026-07-15"


PAGE_SIZE = 100


OVERLAP = timedelta(minutes=10)
"""Passes overlap: an index may lag behind, and clocks differ."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


MAX_VALUES_PER_FILTER = 50
"""Addresses are sent in the URL, whose length is limited."""


DELETION_JOB = "data-privacy-deletion-job"


DELETION_LIMIT = runtime.EndpointRateLimit("deletions", runtime.RateLimit(60, 60))


_MEDIA_TYPE = "application/vnd.api+json"


_PROFILES_PATH = "/api/profiles"


_LIST_PROFILES_PATH = "/api/lists/{list}/profiles"


_LIST_RELATIONSHIPS_PATH = "/api/lists/{list}/relationships/profiles"


_EMAIL_ONLY = {"fields[profile]": "email"}


_WITH_CONSENT = {"additional-fields[profile]": "subscriptions"}


class KlaviyoClient:
    """One Klaviyo account."""

    def __init__(self, session: runtime.Session) -> None:
        self._session = session
        self.profiles: dict[str, KlaviyoProfile] = {}
        """Address -> profile, of those that `look_up` found."""
        self.unknown: dict[str, runtime.PushOutcome] = {}
        """Address -> outcome, of those that `look_up` did not find or could not look up."""

    def look_up(self, addresses: Sequence[str]) -> None:
        """Find the profiles of one batch, for all that is then done with it."""
        bisector = runtime.Bisector(self.find_profiles)
        found = bisector.send(addresses)
        bisector.ensure_some_accepted()
        self.unknown = {address: runtime.refused(error.status) for address, error in found.rejected}
        for part, profiles in found.accepted:
            self.profiles |= profiles
            self.unknown |= {a: runtime.absent("no profile") for a in part if a not in profiles}

    @property
    def absent(self) -> list[str]:
        """The addresses without a profile."""
        is_absent = runtime.PushResult.ABSENT
        return [a for a, outcome in self.unknown.items() if outcome.result is is_absent]

    def list_lists(self, token: str) -> tuple[Sequence[KlaviyoList], str]:
        """A page of the lists, and the token of the next."""
        query = {"fields[list]": "name"} | ({"page[cursor]": token} if token else {})
        page = self._session.send("GET", "/api/lists", query=query).parse(ListsResponse)
        return page.data, page.links.next_cursor

    def find_profiles(self, addresses: Sequence[str]) -> dict[str, KlaviyoProfile]:
        """Address -> profile with its subscriptions; unknown addresses are left out."""
        return self._find_by_address(addresses, _PROFILES_PATH, _WITH_CONSENT)

    def find_profiles_by_phone(self, numbers: Sequence[str]) -> dict[str, KlaviyoProfile]:
        """Number -> profile with its subscriptions; unknown numbers are left out.

        Of several with the same number, one that is sent text messages counts.
        """
        found: dict[str, KlaviyoProfile] = {}
        for profile in self.list_profiles_by_phone(numbers):
            if profile.phone not in found or profile.sms_consent.is_subscribed:
                found[profile.phone] = profile
        return {number: found[number] for number in numbers if number in found}

    def list_profiles_by_phone(self, numbers: Sequence[str]) -> Iterator[KlaviyoProfile]:
        """All profiles with these numbers: several may have the same."""
        return self._find_matching("phone_number", numbers, _PROFILES_PATH, _WITH_CONSENT)

    def find_addresses(
        self, profile_ids: Sequence[str], get_address: Callable[[KlaviyoProfile], str], fields: str
    ) -> dict[str, str]:
        """Profile id -> address; profiles that are gone or have none are left out."""
        query = {"fields[profile]": fields}
        found = self._find_matching("id", profile_ids, _PROFILES_PATH, query)
        return {
            profile.id: get_address(profile)
            for profile in found
            if profile.id and get_address(profile)
        }

    def find_list_members(
        self, list_id: str, addresses: Sequence[str]
    ) -> dict[str, KlaviyoProfile]:
        """Address -> profile, of the members of a list."""
        return self._find_by_address(addresses, _LIST_PROFILES_PATH, _EMAIL_ONLY, list=list_id)

    def _find_by_address(
        self, addresses: Sequence[str], route: str, query: Mapping[str, str], **path_params: str
    ) -> dict[str, KlaviyoProfile]:
        rows = self._find_matching("email", addresses, route, query, **path_params)
        found = {profile.email.casefold(): profile for profile in rows}
        return {a: found[a.casefold()] for a in addresses if a.casefold() in found}

    def _find_matching(
        self,
        field: str,
        values: Sequence[str],
        route: str,
        query: Mapping[str, str],
        **path_params: str,
    ) -> Iterator[KlaviyoProfile]:
        for start in range(0, len(values), MAX_VALUES_PER_FILTER):
            part = values[start : start + MAX_VALUES_PER_FILTER]
            filter_ = f"any({field},{json.dumps(part, ensure_ascii=False)})"
            yield from self._list_profiles(route, {**query, "filter": filter_}, **path_params)[0]

    def list_joined(
        self, since: datetime | None, token: str, *, list_id: str
    ) -> tuple[Sequence[KlaviyoProfile], str]:
        """A page of profiles that joined a list after `since`, in order, and the next token."""
        query = {
            "fields[profile]": "email,properties",
            "sort": "joined_group_at",
            "filter": f"greater-than(joined_group_at,{_format_time(since)})",
        }
        return self._list_profiles(_LIST_PROFILES_PATH, query, token, list=list_id)

    def list_updated(
        self, since: datetime | None, token: str
    ) -> tuple[Sequence[KlaviyoProfile], str]:
        """The same of profiles that changed, with their subscriptions."""
        query = {"sort": "updated", "filter": f"greater-than(updated,{_format_time(since)})"}
        return self._list_profiles(_PROFILES_PATH, query | _WITH_CONSENT, token)

    def list_suppressed(
        self, since: datetime | None, token: str, *, list_id: str | None
    ) -> tuple[Sequence[KlaviyoProfile], str]:
        """The same of profiles that were suppressed, for one list or for all marketing."""
        field = "list_suppressions" if list_id else "suppression"
        field = f"subscriptions.email.marketing.{field}"
        filter_ = f"greater-than({field}.timestamp,{_format_time(since)})"
        if list_id:
            filter_ = f'and(equals({field}.list_id,"{list_id}"),{filter_})'
        query = {"sort": f"{field}.timestamp", "filter": filter_}
        return self._list_profiles(_PROFILES_PATH, query | _WITH_CONSENT, token)

    def _list_profiles(
        self, route: str, query: Mapping[str, str], token: str = "", **path_params: str
    ) -> tuple[Sequence[KlaviyoProfile], str]:
        query = {**query, "page[size]": str(PAGE_SIZE)} | ({"page[cursor]": token} if token else {})
        response = self._session.send("GET", route, path_params=path_params, query=query)
        page = response.parse(ProfilesResponse)
        return page.data, page.links.next_cursor

    def remove_from_list(self, list_id: str, profiles: Iterable[KlaviyoProfile]) -> None:
        """Remove profiles from a list. Their consent is not changed."""
        self._change_list_members("DELETE", list_id, profiles)

    def add_to_list(self, list_id: str, profiles: Iterable[KlaviyoProfile]) -> None:
        """Add profiles to a list. Their consent is not changed."""
        self._change_list_members("POST", list_id, profiles)

    def _change_list_members(
        self, method: str, list_id: str, profiles: Iterable[KlaviyoProfile]
    ) -> None:
        body = {"data": [{"type": "profile", "id": profile.id} for profile in profiles]}
        response = self._write(method, _LIST_RELATIONSHIPS_PATH, body, list=list_id)
        if response.status != HTTPStatus.NO_CONTENT:
            raise runtime.DeliveryError("the response is not what the tool's API promises")

    def create_bulk_job(self, job_type: str, addresses: Iterable[str]) -> str:
        """Start a bulk job about at most 100 addresses; its id. It is carried out later."""
        rows = [{"email": address} for address in addresses]
        response = self._write("POST", f"/api/{job_type}s", _bulk_job_body(job_type, rows))
        return response.parse_member(BulkJob, "data").id

    def create_consent_job(self, job_type: str, consent: str, numbers: Iterable[str]) -> None:
        """Start a bulk job that sets the SMS consent of at most 100 numbers.

        It is carried out later. Klaviyo creates profiles for numbers that it does not know.
        """
        subscriptions = {"sms": {"marketing": {"consent": consent}}}
        rows = [{"phone_number": number, "subscriptions": subscriptions} for number in numbers]
        response = self._write("POST", f"/api/{job_type}s", _bulk_job_body(job_type, rows))
        if response.status != HTTPStatus.ACCEPTED:
            raise runtime.DeliveryError("the response is not what the tool's API promises")

    def set_property(self, profile: KlaviyoProfile, name: str, value: str) -> bool:
        """Set a custom property; whether it then has the value."""
        after = self._update_profile(profile, {"properties": {name: value}})
        return bool(after.attributes.properties.get(name) == value)

    def clear_phone(self, profile: KlaviyoProfile) -> bool:
        """Take the phone number from a profile; whether it then has none."""
        return not self._update_profile(profile, {"phone_number": None}).phone

    def request_deletion(self, profile: KlaviyoProfile) -> runtime.PushOutcome | None:
        """Have a profile deleted, which Klaviyo does later; why not, if it does not accept that."""
        found = {"type": "profile", "id": profile.id, "attributes": {}}
        job = {"type": DELETION_JOB, "attributes": {"profile": {"data": found}}}
        response = self._write(
            "POST",
            f"/api/{DELETION_JOB}s",
            {"data": job},
            limit=DELETION_LIMIT,
            allowed_statuses={HTTPStatus.FORBIDDEN},
        )
        if response.status == HTTPStatus.ACCEPTED:
            return None
        return runtime.refused(f"{response.status}: the API key has no scope data-privacy:write")

    def _update_profile(
        self, profile: KlaviyoProfile, changes: Mapping[str, object]
    ) -> KlaviyoProfile:
        body = {"data": {"type": "profile", "id": profile.id, "attributes": changes}}
        response = self._write("PATCH", f"{_PROFILES_PATH}/{{profile}}", body, profile=profile.id)
        return response.parse_member(KlaviyoProfile, "data")

    def _write(
        self,
        method: str,
        route: str,
        body: object,
        *,
        limit: runtime.EndpointRateLimit | None = None,
        allowed_statuses: Collection[int] = (),
        **path_params: str,
    ) -> runtime.Response:
        return self._session.send(
            method,
            route,
            path_params=path_params,
            body=body,
            headers={"Content-Type": _MEDIA_TYPE},
            limit=limit,
            allowed_statuses=allowed_statuses,
        )


def _bulk_job_body(job_type: str, rows: Iterable[Mapping[str, object]]) -> dict[str, object]:
    profiles = [{"type": "profile", "attributes": row} for row in rows]
    return {"data": {"type": job_type, "attributes": {"profiles": {"data": profiles}}}}


def _format_time(since: datetime | None) -> str:
    return f"{since or _EPOCH:%Y-%m-%dT%H:%M:%SZ}"


class KlaviyoAccountConnector(runtime.ApiConnector[KlaviyoClient]):
    """A connector of one account and channel."""

    client_class = KlaviyoClient

    def headers(self) -> Mapping[str, str]:
        """See ApiConnector."""
        return {
            "Authorization": f"Klaviyo-API-Key {self.config.settings['api_key']}",
            "revision": REVISION,
            "Accept": _MEDIA_TYPE,
        }
