"""Customer.io's App and Track APIs, as far as subscription preferences go.

https://docs.customer.io/integrations/api/app/
https://docs.customer.io/integrations/api/track/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, TypeAdapter

from preference_center.domain.sync.capabilities import RateLimit
from preference_center.integrations.base.http import HttpSession, RequestRejected
from preference_center.integrations.base.payload import parse_epoch
from preference_center.integrations.base.rate_limit import EndpointRateLimit

APP_API_LIMIT = EndpointRateLimit("app", RateLimit(10, 1))
_TRUE_VALUES = {"true", "1"}
_HAS_EMAIL_FILTER = {"attribute": {"field": "email", "operator": "exists"}}
StringId = Annotated[str, BeforeValidator(lambda id_: "" if id_ is None else str(id_))]


class PersonIdentifiers(BaseModel):
    """How a person is known."""

    email: StringId = ""
    cio_id: StringId = ""


class _Profile(BaseModel):
    identifiers: PersonIdentifiers | None = None
    attributes: dict[str, Any] | None = None
    timestamps: dict[str, Any] | None = None
    unsubscribed: bool | None = None


class _Customer(BaseModel):
    customer: _Profile


class _CustomersResponse(BaseModel):
    customers: list[_Customer] | None = None


class _SearchResponse(BaseModel):
    identifiers: list[PersonIdentifiers] | None = None
    next: StringId = ""


class _SubscriptionTopic(BaseModel):
    id: int
    identifier: str | None = None
    name: str | None = None


class _SubscriptionTopicsResponse(BaseModel):
    topics: list[_SubscriptionTopic] | None = None


class _RegionResponse(BaseModel):
    region: str | None = None


class _BatchError(BaseModel):
    batch_index: int | None = None


class _BatchErrorsResponse(BaseModel):
    errors: list[_BatchError] | None = None


_CUSTOMERS_RESPONSE, _SEARCH_RESPONSE, _SUBSCRIPTION_TOPICS_RESPONSE = (
    TypeAdapter(_CustomersResponse),
    TypeAdapter(_SearchResponse),
    TypeAdapter(_SubscriptionTopicsResponse),
)
_REGION_RESPONSE, _BATCH_ERRORS_RESPONSE = (
    TypeAdapter(_RegionResponse),
    TypeAdapter(_BatchErrorsResponse),
)


@dataclass(frozen=True, slots=True)
class CustomerIoPerson:
    """One person. Times are UTC, None where Customer.io does not say."""

    email: str
    cio_id: str
    chosen_topics: Mapping[str, bool]
    """What the person chose."""
    topics_with_defaults: Mapping[str, bool]
    """The same, with the topics' defaults for the rest."""
    is_unsubscribed: bool
    """From all, or from all email."""
    unsubscribed_at: datetime | None
    changed_at: datetime | None
    """When `topics` changed last."""


@dataclass(frozen=True, slots=True)
class CustomerIoClient:
    """One workspace, for one push or listing."""

    app_api: HttpSession
    track_api: HttpSession

    def list_topics(self) -> dict[str, str]:
        """Id of each topic, as in `topic_7` -> its name."""
        answer = self.app_api.send("GET", "/v1/subscription_topics", limit=APP_API_LIMIT)
        found = answer.parse(_SUBSCRIPTION_TOPICS_RESPONSE).topics or ()
        return {topic.identifier or f"topic_{topic.id}": topic.name or "" for topic in found}

    def get_region(self) -> str:
        """Where the workspace is: "us" or "eu". Fails for wrong credentials of the Track API."""
        return (
            self.track_api.send("GET", "/api/v1/accounts/region").parse(_REGION_RESPONSE).region
            or ""
        )

    def find_people(self, ids: Sequence[str], *, id_type: str) -> list[CustomerIoPerson]:
        """At most 100 people `by` "email" or "cio_id"; those that are not there are left out."""
        answer = self.app_api.send(
            "POST",
            "/v1/customers/attributes",
            query={"id_type": id_type},
            body={"ids": list(ids)},
            limit=APP_API_LIMIT,
        )
        return [
            _parse_person(row.customer) for row in answer.parse(_CUSTOMERS_RESPONSE).customers or ()
        ]

    def list_people(self, start: str, limit: int) -> tuple[Sequence[PersonIdentifiers], str]:
        """A page of those who have an address, and where the next begins, "" at the end."""
        query = {"limit": str(limit)} | ({"start": start} if start else {})
        body = {"filter": _HAS_EMAIL_FILTER}
        answer = self.app_api.send(
            "POST", "/v1/customers", query=query, body=body, limit=APP_API_LIMIT
        )
        found = answer.parse(_SEARCH_RESPONSE)
        return found.identifiers or (), found.next

    def update_people(self, people: Sequence[Mapping[str, object]]) -> set[int]:
        """Change people, in at most 500 kB; the indices of those that were rejected.

        Raises Rejected where it is not said which were.
        """
        found = self.track_api.send("POST", "/api/v2/batch", body={"batch": people}).parse(
            _BATCH_ERRORS_RESPONSE
        )
        indices = {error.batch_index for error in found.errors or ()}
        if None in indices:
            raise RequestRejected("some were rejected, and it is not said who", 400)
        return {index for index in indices if index is not None}


def _parse_person(profile: _Profile) -> CustomerIoPerson:
    attributes, times = profile.attributes or {}, profile.timestamps or {}
    ids = profile.identifiers or PersonIdentifiers()
    chosen = _parse_object(attributes.get("cio_subscription_preferences"))
    computed = _parse_object(attributes.get("_cio_subscription_preferences_computed"))
    changed_at = parse_epoch(times.get("cio_subscription_preferences"))
    said = str(attributes.get("unsubscribed", "")).casefold() in _TRUE_VALUES
    no_email = _boolean_items(chosen.get("channels")).get("email") is False
    return CustomerIoPerson(
        email=ids.email or str(attributes.get("email") or ""),
        cio_id=ids.cio_id or str(attributes.get("cio_id") or ""),
        chosen_topics=_boolean_items(chosen.get("topics")),
        topics_with_defaults=_boolean_items(computed.get("topics")),
        is_unsubscribed=profile.unsubscribed or said or no_email,
        unsubscribed_at=parse_epoch(times.get("unsubscribed"))
        or (changed_at if no_email else None),
        changed_at=changed_at,
    )


def _parse_object(value: object) -> dict[str, Any]:
    """An attribute that is an object, mostly as JSON in a string; empty if it is none."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _boolean_items(value: object) -> Mapping[str, bool]:
    """Those that are true or false: of the others nothing was chosen."""
    rows = value.items() if isinstance(value, dict) else ()
    return {name: is_on for name, is_on in rows if isinstance(is_on, bool)}
