"""`SesClient` reads and changes one contact list by the Amazon SES API v2.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_UpdateContact.html
An update removes every preference that it leaves out, so a contact is read first.

`AwsRequestSigner` signs requests by Signature Version 4, with botocore:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
Importing this module needs the extra `ses`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from preference_center.integrations.base import runtime
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.ses.import_jobs import ImportJobs

# botocore logs what it signs, addresses included, at DEBUG (I12).
logging.getLogger("botocore.auth").addFilter(lambda _: False)


KEY_SETTINGS = ("access_key_id", "secret_access_key")


class AwsRequestSigner:
    """Signs with a destination's key, or with the role of the worker."""

    def __init__(self, config: DestinationConfig) -> None:
        self._config = config

    def sign(self, method: str, url: str, body: bytes | None) -> Mapping[str, str]:
        """Headers that sign a request. Raises DeliveryError (permanent) without a key."""
        request = AWSRequest(method, url, {"Content-Type": "application/json"}, body)
        SigV4Auth(self._get_credentials(), "ses", self._config.settings["region"]).add_auth(request)
        return dict(request.headers.items())

    def sign_s3(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """The same for a request to S3, which requires the body's digest to be signed, too."""
        request = AWSRequest(method, url, {"Content-Type": "application/json"}, body)
        S3SigV4Auth(self._get_credentials(), "s3", self._config.settings["region"]).add_auth(
            request
        )
        return dict(request.headers.items())

    def _get_credentials(self) -> Credentials:
        key, secret = (self._config.settings.get(name) for name in KEY_SETTINGS)
        if key and secret:
            return Credentials(key, secret)
        try:
            found = Session().get_credentials()
        except BotoCoreError:
            found = None
        if found is None:
            raise DeliveryError(
                f"{self._config.name}: no key is set, and the worker has no role", permanent=True
            )
        return found.get_frozen_credentials()


PAGE_SIZE = 1_000


_LIST = "/v2/email/contact-lists/{list}"


_CONTACT = f"{_LIST}/contacts/{{address}}"


_THROTTLING_ERRORS = frozenset(
    {"ThrottlingException", "TooManyRequestsException", "LimitExceededException"}
)


_EMPTY_BODIES = frozenset({b"", b"{}"})


class SesTopic(runtime.PascalModel):
    """One topic of the list."""

    topic_name: str
    display_name: str = ""


class _TopicPreference(runtime.PascalModel):
    topic_name: str
    subscription_status: str


class SesContact(runtime.PascalModel):
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


class SesSuppression(runtime.PascalModel):
    """An address that SES sends no mail to, and why."""

    email_address: str = ""
    reason: str = ""
    last_update_time: datetime | None = None


class _Contacts(runtime.PascalModel):
    contacts: Sequence[SesContact] = ()
    next_token: str = ""


class _Suppressions(runtime.PascalModel):
    suppressed_destination_summaries: Sequence[SesSuppression] = ()
    next_token: str = ""


class SesClient:
    """The contact list of an account in one region."""

    def __init__(
        self,
        config: runtime.DestinationConfig,
        http: runtime.HttpContext,
        url: str,
        session: runtime.Session,
    ) -> None:
        self._name = config.name
        self._list_name = config.settings["contact_list"]
        self._url = url.rstrip("/")
        self._signer = AwsRequestSigner(config)
        self._session = session
        self.import_jobs = ImportJobs(config, http, self.send, self._signer)

    @cached_property
    def topics(self) -> dict[str, SesTopic]:
        """Topic name -> topic. Raises DeliveryError (permanent) when the list is gone.

        Its contacts are answered with the same 404 as unknown addresses.
        """
        response = self.send("GET", _LIST)
        if response.status == HTTPStatus.NOT_FOUND:
            raise runtime.DeliveryError(
                f"{self._name}: HTTP 404, there is no such contact list in the region",
                permanent=True,
            )
        topics = response.parse_member(list[SesTopic], "Topics", or_empty=True)
        return {topic.topic_name: topic for topic in topics}

    def get_contact(self, address: str) -> SesContact | None:
        """One contact; None if the list does not know the address."""
        response = self.send("GET", _CONTACT, address=address)
        return None if response.status == HTTPStatus.NOT_FOUND else response.parse(SesContact)

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

    def delete_contact(self, address: str) -> int:
        """Remove a contact from the list, with its preferences; the HTTP status."""
        response = self.send("DELETE", _CONTACT, address=address)
        if response.status != HTTPStatus.NOT_FOUND:
            self._ensure_done(response)
        return response.status

    def list_contacts(
        self, token: str, *, limit: int = PAGE_SIZE
    ) -> tuple[Sequence[SesContact], str]:
        """A page of contacts in no documented order, and the token of the next, "" if none."""
        body = {"PageSize": limit} | ({"NextToken": token} if token else {})
        page = self.send("POST", f"{_LIST}/contacts/list", body).parse(_Contacts)
        return page.contacts, page.next_token

    def list_suppressions(
        self, token: str, *, limit: int = PAGE_SIZE
    ) -> tuple[Sequence[SesSuppression], str]:
        """A page of the account's suppression list, and the token of the next, "" if none."""
        query = {"PageSize": str(limit)} | ({"NextToken": token} if token else {})
        response = self.send("GET", "/v2/email/suppression/addresses", query=query)
        page = response.parse(_Suppressions)
        return page.suppressed_destination_summaries, page.next_token

    def _ensure_done(self, response: runtime.Response) -> None:
        if response.status == HTTPStatus.NOT_FOUND or response.body not in _EMPTY_BODIES:
            raise runtime.DeliveryError(
                f"{self._name}: the response is not what the tool's API promises"
            )

    def send(
        self,
        method: str,
        route: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        address: str = "",
    ) -> runtime.Response:
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
                raise runtime.DeliveryError(f"{message}, throttled")
            raise runtime.RequestRejected(message, response.status)
        return response


def _as_json(preferences: Mapping[str, str]) -> Sequence[Mapping[str, str]]:
    return [
        {"TopicName": name, "SubscriptionStatus": status}
        for name, status in sorted(preferences.items())
    ]
