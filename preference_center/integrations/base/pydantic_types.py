"""Shapes of tools' answers and types of their fields, for pydantic."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic.alias_generators import to_camel, to_pascal

from preference_center.integrations.base.payload import parse_iso_time, parse_mail_date

IsoDatetime = Annotated[datetime | None, BeforeValidator(parse_iso_time)]
"""A time of ISO 8601 (UTC). None for nonsense and for a time without a zone: a date that
can't be read must not hold up the rows around it, which then count from receipt."""


MailDatetime = Annotated[datetime | None, BeforeValidator(parse_mail_date)]
"""The same of a time as in a mail's header (RFC 5322, 3.3)."""


class LenientModel(BaseModel):
    """A shape in which null says the same as a field that is missing.

    Vendors answer with either; a field that has to be there is declared without a default.
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
