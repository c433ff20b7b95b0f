"""What HubSpot answers, as far as we read it; unknown fields are left alone."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class Status(_Camel):
    """One address's status for one subscription type."""

    subscriber_id_string: str
    subscription_id: int
    status: str
    set_status_success_reason: str | None = None


class Fault(_Camel):
    """Why some input was not taken."""

    category: str = ""
    context: Any = None
    """Documented as a map of lists; once shown as a text."""


class Written(_Camel):
    """Answer to batch/write."""

    results: list[Status] = []
    errors: list[Fault] = []


class Subscriber(_Camel):
    """One address's statuses."""

    subscriber_id_string: str
    statuses: list[Status] = []


class Subscribers(_Camel):
    """Answer to batch/read and batch/unsubscribe-all."""

    results: list[Subscriber] = []
    errors: list[Fault] = []


class Definition(_Camel):
    """One subscription type."""

    id: str
    name: str
    is_active: bool = True


class Definitions(_Camel):
    """Answer to definitions."""

    results: list[Definition]


WRITTEN = TypeAdapter(Written)
SUBSCRIBERS = TypeAdapter(Subscribers)
DEFINITIONS = TypeAdapter(Definitions)
