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

from preference_center.domain.sync.capabilities import Rate
from preference_center.integrations.base.http import Rejected, Session
from preference_center.integrations.base.payload import moment
from preference_center.integrations.base.rate_limit import Limit

APP = Limit("app", Rate(10, 1))
_TRUE = {"true", "1"}
_HAS_EMAIL = {"attribute": {"field": "email", "operator": "exists"}}
Id = Annotated[str, BeforeValidator(lambda id_: "" if id_ is None else str(id_))]


class Identifiers(BaseModel):
    """How a person is known."""

    email: Id = ""
    cio_id: Id = ""


class _Profile(BaseModel):
    identifiers: Identifiers | None = None
    attributes: dict[str, Any] | None = None
    timestamps: dict[str, Any] | None = None
    unsubscribed: bool | None = None


class _Customer(BaseModel):
    customer: _Profile


class _Customers(BaseModel):
    customers: list[_Customer] | None = None


class _Search(BaseModel):
    identifiers: list[Identifiers] | None = None
    next: Id = ""


class _Topic(BaseModel):
    id: int
    identifier: str | None = None
    name: str | None = None


class _Topics(BaseModel):
    topics: list[_Topic] | None = None


class _Region(BaseModel):
    region: str | None = None


class _Error(BaseModel):
    batch_index: int | None = None


class _Errors(BaseModel):
    errors: list[_Error] | None = None


_CUSTOMERS, _SEARCH, _TOPICS = TypeAdapter(_Customers), TypeAdapter(_Search), TypeAdapter(_Topics)
_REGION, _ERRORS = TypeAdapter(_Region), TypeAdapter(_Errors)


@dataclass(frozen=True, slots=True)
class Person:
    """One person. Times are UTC, None where Customer.io does not say."""

    email: str
    cio_id: str
    topics: Mapping[str, bool]
    """What the person chose."""
    computed: Mapping[str, bool]
    """The same, with the topics' defaults for the rest."""
    is_unsubscribed: bool
    """From all, or from all email."""
    unsubscribed_at: datetime | None
    changed_at: datetime | None
    """When `topics` changed last."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace, for one push or listing."""

    app: Session
    track: Session

    def topics(self) -> dict[str, str]:
        """Id of each topic, as in `topic_7` -> its name."""
        answer = self.app.send("GET", "/v1/subscription_topics", limit=APP)
        found = answer.parse(_TOPICS).topics or ()
        return {topic.identifier or f"topic_{topic.id}": topic.name or "" for topic in found}

    def region(self) -> str:
        """Where the workspace is: "us" or "eu". Fails for wrong credentials of the Track API."""
        return self.track.send("GET", "/api/v1/accounts/region").parse(_REGION).region or ""

    def people(self, ids: Sequence[str], *, by: str) -> list[Person]:
        """At most 100 people `by` "email" or "cio_id"; those that are not there are left out."""
        answer = self.app.send(
            "POST",
            "/v1/customers/attributes",
            query={"id_type": by},
            body={"ids": list(ids)},
            limit=APP,
        )
        return [_person(row.customer) for row in answer.parse(_CUSTOMERS).customers or ()]

    def search(self, start: str, limit: int) -> tuple[Sequence[Identifiers], str]:
        """A page of those who have an address, and where the next begins, "" at the end."""
        query = {"limit": str(limit)} | ({"start": start} if start else {})
        body = {"filter": _HAS_EMAIL}
        answer = self.app.send("POST", "/v1/customers", query=query, body=body, limit=APP)
        found = answer.parse(_SEARCH)
        return found.identifiers or (), found.next

    def update(self, people: Sequence[Mapping[str, object]]) -> set[int]:
        """Change people, in at most 500 kB; the indices of those that were rejected.

        Raises Rejected where it is not said which were.
        """
        found = self.track.send("POST", "/api/v2/batch", body={"batch": people}).parse(_ERRORS)
        indices = {error.batch_index for error in found.errors or ()}
        if None in indices:
            raise Rejected("some were rejected, and it is not said who", 400)
        return {index for index in indices if index is not None}


def _person(profile: _Profile) -> Person:
    attributes, times = profile.attributes or {}, profile.timestamps or {}
    ids = profile.identifiers or Identifiers()
    chosen = _object(attributes.get("cio_subscription_preferences"))
    computed = _object(attributes.get("_cio_subscription_preferences_computed"))
    changed_at = moment(times.get("cio_subscription_preferences"))
    said = str(attributes.get("unsubscribed", "")).casefold() in _TRUE
    no_email = _flags(chosen.get("channels")).get("email") is False
    return Person(
        email=ids.email or str(attributes.get("email") or ""),
        cio_id=ids.cio_id or str(attributes.get("cio_id") or ""),
        topics=_flags(chosen.get("topics")),
        computed=_flags(computed.get("topics")),
        is_unsubscribed=profile.unsubscribed or said or no_email,
        unsubscribed_at=moment(times.get("unsubscribed")) or (changed_at if no_email else None),
        changed_at=changed_at,
    )


def _object(preferences: object) -> dict[str, Any]:
    """An attribute that is an object, mostly as JSON in a string; empty if it is none."""
    try:
        found = json.loads(preferences) if isinstance(preferences, str) else preferences
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _flags(chosen: object) -> Mapping[str, bool]:
    """Those that are true or false: of the others nothing was chosen."""
    rows = chosen.items() if isinstance(chosen, dict) else ()
    return {name: is_on for name, is_on in rows if isinstance(is_on, bool)}
