"""The Amazon SES API v2: the calls that read and change one contact list.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_UpdateContact.html
An update removes every preference that it leaves out, so a contact is read first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_pascal

from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import (
    HttpContext,
    HttpSession,
    RequestRejected,
    Response,
)
from preference_center.integrations.base.pydantic_types import LenientModel
from preference_center.integrations.ses.signing import AwsRequestSigner

OPT_IN, OPT_OUT = "OPT_IN", "OPT_OUT"
PAGE_SIZE = 1_000
_REGION = re.compile(r"[a-z]{2,3}(-[a-z]+)+-[0-9]+", re.ASCII)
_LIST = "/v2/email/contact-lists/{list}"
_CONTACT = f"{_LIST}/contacts/{{address}}"
_THROTTLING_ERRORS = frozenset(
    {"ThrottlingException", "TooManyRequestsException", "LimitExceededException"}
)
_EMPTY_BODIES = frozenset({b"", b"{}"})


class PascalModel(LenientModel):
    """A model whose fields have AWS's names."""

    model_config = ConfigDict(alias_generator=to_pascal)


class SesTopic(PascalModel):
    """One topic of the list."""

    topic_name: str
    display_name: str = ""


class _TopicPreference(PascalModel):
    topic_name: str
    subscription_status: str


class SesContact(PascalModel):
    """One contact. Topics without a preference have their default."""

    email_address: str = ""
    topic_preferences: Sequence[_TopicPreference] = ()
    unsubscribe_all: bool = False
    attributes_data: str | None = None
    last_updated_timestamp: datetime | None = None

    @property
    def preferences(self) -> dict[str, str]:
        """Topic name -> OPT_IN or OPT_OUT, where one was ever chosen."""
        return {p.topic_name: p.subscription_status for p in self.topic_preferences}


class SesSuppression(PascalModel):
    """An address that SES sends no mail to, and why."""

    email_address: str = ""
    reason: str = ""
    last_update_time: datetime | None = None


class _ContactListResponse(PascalModel):
    topics: Sequence[SesTopic] = ()


class _Contacts(PascalModel):
    contacts: Sequence[SesContact] = ()
    next_token: str | None = None


class _Suppressions(PascalModel):
    suppressed_destination_summaries: Sequence[SesSuppression] = ()
    next_token: str | None = None


_CONTACT_LIST = TypeAdapter(_ContactListResponse)
_CONTACT_RESPONSE = TypeAdapter(SesContact)
_CONTACTS = TypeAdapter(_Contacts)
_SUPPRESSIONS = TypeAdapter(_Suppressions)


@contextmanager
def open_client(config: DestinationConfig, http: HttpContext) -> Iterator[SesClient]:
    """A client of a destination's contact list, for a `with` block.

    Raises DeliveryError (permanent) for an invalid region.
    """
    region = config.settings["region"]
    if not _REGION.fullmatch(region):
        raise DeliveryError(
            f"{config.name}: the region must be written as in eu-central-1", permanent=True
        )
    url = config.settings.get("base_url") or f"https://email.{region}.amazonaws.com"
    with http.session(config.name, url) as session:
        yield SesClient(config, url, session)


class SesClient:
    """The contact list of an account in one region, made by `open_client`."""

    def __init__(self, config: DestinationConfig, url: str, session: HttpSession) -> None:
        self._name = config.name
        self._list_name = config.settings["contact_list"]
        self._url = url.rstrip("/")
        self._signer = AwsRequestSigner(config)
        self._session = session

    def topics(self) -> dict[str, SesTopic]:
        """Topic name -> topic. Raises DeliveryError (permanent) when the list is gone.

        Its contacts are answered with the same 404 as unknown addresses.
        """
        response = self.send("GET", _LIST)
        if response.status == HTTPStatus.NOT_FOUND:
            raise DeliveryError(
                f"{self._name}: HTTP 404, there is no such contact list in the region",
                permanent=True,
            )
        return {topic.topic_name: topic for topic in response.parse(_CONTACT_LIST).topics}

    def get_contact(self, address: str) -> SesContact | None:
        """One contact; None if the list does not know the address."""
        response = self.send("GET", _CONTACT, address=address)
        return (
            None if response.status == HTTPStatus.NOT_FOUND else response.parse(_CONTACT_RESPONSE)
        )

    def create_contact(self, address: str, preferences: Mapping[str, str]) -> None:
        """Add a contact."""
        body = {"EmailAddress": address, "TopicPreferences": _as_json(preferences)}
        self._ensure_done(self.send("POST", f"{_LIST}/contacts", body))

    def update_contact(
        self, contact: SesContact, address: str, preferences: Mapping[str, str]
    ) -> None:
        """Replace a contact's preferences; the rest stays as it was read."""
        body: dict[str, Any] = {
            "TopicPreferences": _as_json(preferences),
            "UnsubscribeAll": contact.unsubscribe_all,
        }
        if contact.attributes_data is not None:
            body["AttributesData"] = contact.attributes_data
        self._ensure_done(self.send("PUT", _CONTACT, body, address=address))

    def list_contacts(
        self, token: str | None, *, limit: int = PAGE_SIZE
    ) -> tuple[Sequence[SesContact], str | None]:
        """A page of contacts in no documented order, and the token of the next."""
        body = {"PageSize": limit} | ({"NextToken": token} if token else {})
        page = self.send("POST", f"{_LIST}/contacts/list", body).parse(_CONTACTS)
        return page.contacts, page.next_token

    def list_suppressions(
        self, token: str | None, *, limit: int = PAGE_SIZE
    ) -> tuple[Sequence[SesSuppression], str | None]:
        """A page of the account's suppression list, and the token of the next."""
        query = {"PageSize": str(limit)} | ({"NextToken": token} if token else {})
        page = self.send("GET", "/v2/email/suppression/addresses", query=query)
        found = page.parse(_SUPPRESSIONS)
        return found.suppressed_destination_summaries, found.next_token

    def _ensure_done(self, response: Response) -> None:
        if response.status == HTTPStatus.NOT_FOUND or response.body not in _EMPTY_BODIES:
            raise DeliveryError(f"{self._name}: the response is not what the tool's API promises")

    def send(
        self,
        method: str,
        route: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        address: str = "",
    ) -> Response:
        """Send one signed request; a 404 is returned."""
        exact = route.format(list=quote(self._list_name, safe=""), address=quote(address, safe=""))
        if query:
            exact += f"?{urlencode(query, quote_via=quote)}"
        content = None if body is None else json.dumps(body).encode()
        response = self._session.send(
            method,
            route,
            raw_path=exact,
            body=content,
            headers=self._signer.sign(method, self._url + exact, content),
            allowed_statuses={HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND},
        )
        if response.status == HTTPStatus.BAD_REQUEST:
            kind = response.headers.get("x-amzn-errortype", "").partition(":")[0]
            message = f"{self._name}: {method} {route}: HTTP 400"
            if kind in _THROTTLING_ERRORS:
                raise DeliveryError(f"{message}, throttled")
            raise RequestRejected(message, response.status)
        return response


def _as_json(preferences: Mapping[str, str]) -> Sequence[Mapping[str, str]]:
    return [
        {"TopicName": name, "SubscriptionStatus": status}
        for name, status in sorted(preferences.items())
    ]
