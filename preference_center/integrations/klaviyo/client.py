"""Klaviyo's API (JSON:API), as far as lists and their profiles are called.

https://developers.klaviyo.com/en/reference/api_overview
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Answer, Http, Session
from preference_center.integrations.klaviyo.models import (
    JOB,
    LISTS,
    ONE,
    PROFILES_PAGE,
    Profile,
    Profiles,
)

REVISION = "2026-07-15"
PAGE = 100
ASKED_AT_ONCE = 50
"""Addresses go in the URL, which must not get too long."""
_TYPE = "application/vnd.api+json"
_PROFILES = "/api/profiles"
_MEMBERS = "/api/lists/{list}/profiles"
_RELATED = "/api/lists/{list}/relationships/profiles"
_EMAIL_ONLY = {"fields[profile]": "email"}
_WITH_CONSENT = {"additional-fields[profile]": "subscriptions"}


@contextmanager
def open_account(setup: Setup, http: Http) -> Iterator[Account]:
    """The account of a destination, for a `with` block."""
    settings = setup.settings
    headers = {
        "Authorization": f"Klaviyo-API-Key {settings['api_key']}",
        "revision": REVISION,
        "Accept": _TYPE,
    }
    base_url = settings.get("base_url", "https://a.klaviyo.com")
    with http.session(setup.name, base_url, headers=headers) as session:
        yield Account(session)


class Account:
    """One Klaviyo account, made by `open_account`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lists(self) -> dict[str, str]:
        """List id -> its name."""
        found: dict[str, str] = {}
        cursor: str | None = ""
        while cursor is not None:
            query = {"fields[list]": "name"} | ({"page[cursor]": cursor} if cursor else {})
            page = self._session.send("GET", "/api/lists", query=query).parse(LISTS)
            found |= {row.id: row.attributes.name for row in page.data if row.id}
            cursor = page.links.cursor or None
        return found

    def profiles(self, addresses: Sequence[str]) -> dict[str, Profile]:
        """Address -> profile of those that are known, with what they are subscribed to."""
        return self._by_address(addresses, _PROFILES, _WITH_CONSENT)

    def by_phone(self, numbers: Sequence[str]) -> dict[str, Profile]:
        """Number -> profile of those that are known, with what they are subscribed to.

        Of several with the same number one that is sent texts counts.
        """
        found: dict[str, Profile] = {}
        for profile in self._any("phone_number", numbers, _PROFILES, _WITH_CONSENT):
            if profile.phone not in found or profile.texts.are_sent:
                found[profile.phone] = profile
        return {number: found[number] for number in numbers if number in found}

    def addresses(
        self, ids: Sequence[str], of: Callable[[Profile], str], fields: str
    ) -> dict[str, str]:
        """Profile id -> address of those that there are and that have one."""
        query = {"fields[profile]": fields}
        found = self._any("id", ids, _PROFILES, query)
        return {profile.id: of(profile) for profile in found if profile.id and of(profile)}

    def members(self, list_: str, addresses: Sequence[str]) -> dict[str, Profile]:
        """Address -> profile of those on a list."""
        return self._by_address(addresses, _MEMBERS, _EMAIL_ONLY, list=list_)

    def _by_address(
        self, addresses: Sequence[str], route: str, query: Mapping[str, str], **holes: str
    ) -> dict[str, Profile]:
        rows = self._any("email", addresses, route, query, **holes)
        found = {profile.email.casefold(): profile for profile in rows}
        return {a: found[a.casefold()] for a in addresses if a.casefold() in found}

    def _any(
        self,
        field: str,
        values: Sequence[str],
        route: str,
        query: Mapping[str, str],
        **holes: str,
    ) -> Iterator[Profile]:
        for start in range(0, len(values), ASKED_AT_ONCE):
            part = values[start : start + ASKED_AT_ONCE]
            asked = f"any({field},{json.dumps(part, ensure_ascii=False)})"
            yield from self.page(route, {**query, "filter": asked}, **holes).rows

    def joined(self, list_: str, since: str, cursor: str) -> Profiles:
        """Who joined a list after `since`, in that order."""
        query = {
            "fields[profile]": "email,properties",
            "sort": "joined_group_at",
            "filter": f"greater-than(joined_group_at,{since})",
        }
        return self.page(_MEMBERS, query, cursor, list=list_)

    def updated(self, since: str, cursor: str) -> Profiles:
        """Who was changed after `since`, in that order, with what they are subscribed to."""
        query = {"sort": "updated", "filter": f"greater-than(updated,{since})"}
        return self.page(_PROFILES, query | _WITH_CONSENT, cursor)

    def suppressed(self, since: str, cursor: str, *, list_: str | None = None) -> Profiles:
        """Who was suppressed after `since`, for one list or for all marketing."""
        field = "list_suppressions" if list_ else "suppression"
        field = f"subscriptions.email.marketing.{field}"
        asked = f"greater-than({field}.timestamp,{since})"
        if list_:
            asked = f'and(equals({field}.list_id,"{list_}"),{asked})'
        query = {"sort": f"{field}.timestamp", "filter": asked}
        return self.page(_PROFILES, query | _WITH_CONSENT, cursor)

    def page(
        self, route: str, query: Mapping[str, str], cursor: str = "", **holes: str
    ) -> Profiles:
        """A page of any listing of profiles."""
        query = {**query, "page[size]": str(PAGE)} | ({"page[cursor]": cursor} if cursor else {})
        found = self._session.send("GET", route, holes=holes, query=query).parse(PROFILES_PAGE)
        return Profiles(tuple(found.data), found.links.cursor)

    def remove(self, list_: str, profiles: Iterable[Profile]) -> None:
        """Take profiles off a list. Their consent is not touched."""
        self._relate("DELETE", list_, profiles)

    def add(self, list_: str, profiles: Iterable[Profile]) -> None:
        """Put profiles on a list. Their consent is not touched."""
        self._relate("POST", list_, profiles)

    def _relate(self, method: str, list_: str, profiles: Iterable[Profile]) -> None:
        body = {"data": [{"type": "profile", "id": profile.id} for profile in profiles]}
        answer = self._write(method, _RELATED, body, list=list_)
        if answer.status != HTTPStatus.NO_CONTENT:
            raise DeliveryError("the answer is not what the tool's API promises")

    def job(self, kind: str, addresses: Iterable[str]) -> str:
        """Ask for a bulk job about at most 100 addresses; its id. It is done later."""
        rows = [{"email": address} for address in addresses]
        return self._write("POST", f"/api/{kind}s", _bulk(kind, rows)).parse(JOB).data.id

    def consent(self, kind: str, consent: str, numbers: Iterable[str]) -> None:
        """Ask for a bulk job that sets the SMS consent of at most 100 numbers.

        It is done later. Klaviyo makes profiles for numbers that it doesn't know.
        """
        asked = {"sms": {"marketing": {"consent": consent}}}
        rows = [{"phone_number": number, "subscriptions": asked} for number in numbers]
        answer = self._write("POST", f"/api/{kind}s", _bulk(kind, rows))
        if answer.status != HTTPStatus.ACCEPTED:
            raise DeliveryError("the answer is not what the tool's API promises")

    def set_property(self, profile: Profile, name: str, value: str) -> bool:
        """Set a custom property; whether it then has the value."""
        body = {
            "data": {
                "type": "profile",
                "id": profile.id,
                "attributes": {"properties": {name: value}},
            }
        }
        answer = self._write("PATCH", f"{_PROFILES}/{{profile}}", body, profile=profile.id)
        return bool(answer.parse(ONE).data.attributes.properties.get(name) == value)

    def _write(self, method: str, route: str, body: object, **holes: str) -> Answer:
        return self._session.send(
            method, route, holes=holes, body=body, headers={"Content-Type": _TYPE}
        )


def _bulk(kind: str, rows: Iterable[Mapping[str, object]]) -> dict[str, object]:
    profiles = [{"type": "profile", "attributes": row} for row in rows]
    return {"data": {"type": kind, "attributes": {"profiles": {"data": profiles}}}}
