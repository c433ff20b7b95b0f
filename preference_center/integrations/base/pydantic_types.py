"""Models of tools' responses and types of their fields, for pydantic."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic.alias_generators import to_camel, to_pascal

from preference_center.integrations.base.payload import parse_iso_time, parse_mail_date

IsoDatetime = Annotated[datetime | None, BeforeValidator(parse_iso_time)]
"""A time of ISO 8601 (UTC). None for an invalid time and for one without a zone: a date that
can't be read must not fail the rows around it; its row counts from receipt."""


MailDatetime = Annotated[datetime | None, BeforeValidator(parse_mail_date)]
"""The same of a time as in a mail's header (RFC 5322, 3.3)."""


class LenientModel(BaseModel):
    """A model in which null means the same as a missing field.

    Vendors send either; a field that is required is declared without a default.
    """

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: each for name, each in value.items() if each is not None}
        return value


class CamelModel(LenientModel):
    """The same with fields named `likeThis` in JSON."""

    model_config = ConfigDict(alias_generator=to_camel)


class PascalModel(LenientModel):
    """The same with fields named `LikeThis` in JSON."""

    model_config = ConfigDict(alias_generator=to_pascal)
