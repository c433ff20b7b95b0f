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

from pydantic import BeforeValidator

from preference_center.integrations.base import runtime
from preference_center.integrations.base.payload import parse_epoch

APP_API_LIMIT = runtime.EndpointRateLimit("app", runtime.RateLimit(10, 1))
_HAS_EMAIL_FILTER = {"attribute": {"field": "email", "operator": "exists"}}
_StringId = Annotated[str, BeforeValidator(str)]


class PersonIdentifiers(runtime.LenientModel):
    """How a person is identified."""

    email: _StringId = ""
    cio_id: _StringId = ""


class CustomerIoPerson(runtime.LenientModel):
    """One person. Times are UTC, None where Customer.io has none."""

    identifiers: PersonIdentifiers = PersonIdentifiers()
    attributes: Mapping[str, Any] = {}
    timestamps: Mapping[str, Any] = {}
    unsubscribed: bool = False

    @property
    def email(self) -> str:
        """The address, "" without one."""
        return self.identifiers.email or str(self.attributes.get("email") or "")

    @property
    def cio_id(self) -> str:
        """Customer.io's own id, "" without one."""
        return self.identifiers.cio_id or str(self.attributes.get("cio_id") or "")

    @property
    def chosen_topics(self) -> Mapping[str, bool]:
        """What the person chose."""
        return self._preferences("cio_subscription_preferences", "topics")

    @property
    def topics_with_defaults(self) -> Mapping[str, bool]:
        """The same, with the topics' defaults for the rest."""
        return self._preferences("_cio_subscription_preferences_computed", "topics")

    @property
    def changed_at(self) -> datetime | None:
        """When the chosen topics and channels changed last."""
        return parse_epoch(self.timestamps.get("cio_subscription_preferences"))

    @property
    def is_unsubscribed(self) -> bool:
        """From all, or from all email."""
        switch = str(self.attributes.get("unsubscribed", "")).casefold() in {"true", "1"}
        return self.unsubscribed or switch or self._has_no_email

    @property
    def unsubscribed_at(self) -> datetime | None:
        """When that was."""
        at = parse_epoch(self.timestamps.get("unsubscribed"))
        return at or (self.changed_at if self._has_no_email else None)

    @property
    def _has_no_email(self) -> bool:
        return self._preferences("cio_subscription_preferences", "channels").get("email") is False

    def _preferences(self, attribute: str, name: str) -> Mapping[str, bool]:
        """Those that are true or false: of the others nothing was chosen."""
        found = _parse_object(self.attributes.get(attribute)).get(name)
        rows = found.items() if isinstance(found, dict) else ()
        return {name: is_on for name, is_on in rows if isinstance(is_on, bool)}


class _Customer(runtime.LenientModel):
    customer: CustomerIoPerson


class _PeoplePage(runtime.LenientModel):
    identifiers: tuple[PersonIdentifiers, ...] = ()
    next: _StringId = ""


class _Topic(runtime.LenientModel):
    id: int
    identifier: str = ""
    name: str = ""


class _BatchError(runtime.LenientModel):
    batch_index: int | None = None


@dataclass(frozen=True, slots=True)
class CustomerIoClient:
    """One workspace, for one push or listing."""

    app_api: runtime.Session
    track_api: runtime.Session

    def list_topics(self) -> dict[str, str]:
        """Id of each topic, as in `topic_7` -> its name."""
        answer = self.app_api.send("GET", "/v1/subscription_topics", limit=APP_API_LIMIT)
        topics = answer.parse_member(list[_Topic], "topics", or_empty=True)
        return {topic.identifier or f"topic_{topic.id}": topic.name for topic in topics}

    def get_region(self) -> str:
        """Where the workspace is: "us" or "eu". Fails for wrong credentials of the Track API."""
        answer = self.track_api.send("GET", "/api/v1/accounts/region")
        return answer.parse_member(str, "region", or_empty=True)

    def find_people(self, ids: Sequence[str], *, id_type: str) -> list[CustomerIoPerson]:
        """At most 100 people by "email" or "cio_id"; unknown ones are left out."""
        answer = self.app_api.send(
            "POST",
            "/v1/customers/attributes",
            query={"id_type": id_type},
            body={"ids": list(ids)},
            limit=APP_API_LIMIT,
        )
        rows = answer.parse_member(list[_Customer], "customers", or_empty=True)
        return [row.customer for row in rows]

    def list_people(self, start: str, limit: int) -> tuple[Sequence[PersonIdentifiers], str]:
        """A page of those who have an address, and where the next begins, "" at the end."""
        page = self.app_api.send(
            "POST",
            "/v1/customers",
            query={"limit": str(limit)} | ({"start": start} if start else {}),
            body={"filter": _HAS_EMAIL_FILTER},
            limit=APP_API_LIMIT,
        ).parse(_PeoplePage)
        return page.identifiers, page.next

    def update_people(self, people: Sequence[Mapping[str, object]]) -> set[int]:
        """Change people, in at most 500 kB; the indices of those that were rejected.

        Raises RequestRejected where the response does not name them.
        """
        answer = self.track_api.send("POST", "/api/v2/batch", body={"batch": people})
        errors = answer.parse_member(list[_BatchError], "errors", or_empty=True)
        indices = {error.batch_index for error in errors}
        if None in indices:
            raise runtime.RequestRejected("some were rejected, without their indices", 400)
        return {index for index in indices if index is not None}


def _parse_object(value: object) -> dict[str, Any]:
    """An attribute that is an object, mostly as JSON in a string; empty if it is none."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
