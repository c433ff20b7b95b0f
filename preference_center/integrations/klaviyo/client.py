"""Klaviyo's API (JSON:API): the calls for lists and profiles.

https://developers.klaviyo.com/en/reference/api_overview
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext, HttpSession, Response
from preference_center.integrations.klaviyo.models import (
    BULK_JOB_RESPONSE,
    LISTS_RESPONSE,
    PROFILE_RESPONSE,
    PROFILES_RESPONSE,
    KlaviyoProfile,
    ProfilesPage,
)

REVISION = "2026-07-15"
PAGE_SIZE = 100
MAX_VALUES_PER_FILTER = 50
"""Addresses are sent in the URL, whose length is limited."""
_MEDIA_TYPE = "application/vnd.api+json"
_PROFILES_PATH = "/api/profiles"
_LIST_PROFILES_PATH = "/api/lists/{list}/profiles"
_LIST_RELATIONSHIPS_PATH = "/api/lists/{list}/relationships/profiles"
_EMAIL_ONLY = {"fields[profile]": "email"}
_WITH_CONSENT = {"additional-fields[profile]": "subscriptions"}


@contextmanager
def open_client(config: DestinationConfig, http: HttpContext) -> Iterator[KlaviyoClient]:
    """A client of a destination's account, for a `with` block."""
    settings = config.settings
    headers = {
        "Authorization": f"Klaviyo-API-Key {settings['api_key']}",
        "revision": REVISION,
        "Accept": _MEDIA_TYPE,
    }
    base_url = settings.get("base_url", "https://a.klaviyo.com")
    with http.session(config.name, base_url, headers=headers) as session:
        yield KlaviyoClient(session)


class KlaviyoClient:
    """One Klaviyo account, made by `open_client`."""

    def __init__(self, session: HttpSession) -> None:
        self._session = session

    def list_lists(self) -> dict[str, str]:
        """List id -> its name."""
        found: dict[str, str] = {}
        cursor: str | None = ""
        while cursor is not None:
            query = {"fields[list]": "name"} | ({"page[cursor]": cursor} if cursor else {})
            page = self._session.send("GET", "/api/lists", query=query).parse(LISTS_RESPONSE)
            found |= {row.id: row.attributes.name for row in page.data if row.id}
            cursor = page.links.next_cursor or None
        return found

    def find_profiles(self, addresses: Sequence[str]) -> dict[str, KlaviyoProfile]:
        """Address -> profile with its subscriptions; unknown addresses are left out."""
        return self._find_by_address(addresses, _PROFILES_PATH, _WITH_CONSENT)

    def find_profiles_by_phone(self, numbers: Sequence[str]) -> dict[str, KlaviyoProfile]:
        """Number -> profile with its subscriptions; unknown numbers are left out.

        Of several with the same number, one that is sent text messages counts.
        """
        found: dict[str, KlaviyoProfile] = {}
        for profile in self._find_matching("phone_number", numbers, _PROFILES_PATH, _WITH_CONSENT):
            if profile.phone not in found or profile.sms_consent.is_subscribed:
                found[profile.phone] = profile
        return {number: found[number] for number in numbers if number in found}

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
            asked = f"any({field},{json.dumps(part, ensure_ascii=False)})"
            yield from self.list_profiles(route, {**query, "filter": asked}, **path_params).rows

    def list_joined(self, list_id: str, since: str, cursor: str) -> ProfilesPage:
        """Profiles that joined a list after `since`, in that order."""
        query = {
            "fields[profile]": "email,properties",
            "sort": "joined_group_at",
            "filter": f"greater-than(joined_group_at,{since})",
        }
        return self.list_profiles(_LIST_PROFILES_PATH, query, cursor, list=list_id)

    def list_updated(self, since: str, cursor: str) -> ProfilesPage:
        """Profiles that changed after `since`, in that order, with their subscriptions."""
        query = {"sort": "updated", "filter": f"greater-than(updated,{since})"}
        return self.list_profiles(_PROFILES_PATH, query | _WITH_CONSENT, cursor)

    def list_suppressed(
        self, since: str, cursor: str, *, list_id: str | None = None
    ) -> ProfilesPage:
        """Profiles that were suppressed after `since`, for one list or for all marketing."""
        field = "list_suppressions" if list_id else "suppression"
        field = f"subscriptions.email.marketing.{field}"
        asked = f"greater-than({field}.timestamp,{since})"
        if list_id:
            asked = f'and(equals({field}.list_id,"{list_id}"),{asked})'
        query = {"sort": f"{field}.timestamp", "filter": asked}
        return self.list_profiles(_PROFILES_PATH, query | _WITH_CONSENT, cursor)

    def list_profiles(
        self, route: str, query: Mapping[str, str], cursor: str = "", **path_params: str
    ) -> ProfilesPage:
        """A page of any listing of profiles."""
        query = {**query, "page[size]": str(PAGE_SIZE)} | (
            {"page[cursor]": cursor} if cursor else {}
        )
        found = self._session.send("GET", route, path_params=path_params, query=query).parse(
            PROFILES_RESPONSE
        )
        return ProfilesPage(tuple(found.data), found.links.next_cursor)

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
            raise DeliveryError("the response is not what the tool's API promises")

    def create_bulk_job(self, job_type: str, addresses: Iterable[str]) -> str:
        """Start a bulk job about at most 100 addresses; its id. It is carried out later."""
        rows = [{"email": address} for address in addresses]
        return (
            self._write("POST", f"/api/{job_type}s", _bulk_job_body(job_type, rows))
            .parse(BULK_JOB_RESPONSE)
            .data.id
        )

    def create_consent_job(self, job_type: str, consent: str, numbers: Iterable[str]) -> None:
        """Start a bulk job that sets the SMS consent of at most 100 numbers.

        It is carried out later. Klaviyo creates profiles for numbers that it does not know.
        """
        asked = {"sms": {"marketing": {"consent": consent}}}
        rows = [{"phone_number": number, "subscriptions": asked} for number in numbers]
        response = self._write("POST", f"/api/{job_type}s", _bulk_job_body(job_type, rows))
        if response.status != HTTPStatus.ACCEPTED:
            raise DeliveryError("the response is not what the tool's API promises")

    def set_property(self, profile: KlaviyoProfile, name: str, value: str) -> bool:
        """Set a custom property; whether it then has the value."""
        body = {
            "data": {
                "type": "profile",
                "id": profile.id,
                "attributes": {"properties": {name: value}},
            }
        }
        response = self._write("PATCH", f"{_PROFILES_PATH}/{{profile}}", body, profile=profile.id)
        return bool(response.parse(PROFILE_RESPONSE).data.attributes.properties.get(name) == value)

    def _write(self, method: str, route: str, body: object, **path_params: str) -> Response:
        return self._session.send(
            method, route, path_params=path_params, body=body, headers={"Content-Type": _MEDIA_TYPE}
        )


def _bulk_job_body(job_type: str, rows: Iterable[Mapping[str, object]]) -> dict[str, object]:
    profiles = [{"type": "profile", "attributes": row} for row in rows]
    return {"data": {"type": job_type, "attributes": {"profiles": {"data": profiles}}}}
