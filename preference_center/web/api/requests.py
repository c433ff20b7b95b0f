"""Types of the fields of request bodies."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from preference_center.core.links.tokens import MAX_MESSAGE_ID
from preference_center.web.api.parsing import PRINTABLE, validate_printable

# `format` states in the OpenAPI document what a text identifies.
RawAddress = Annotated[str, Field(json_schema_extra={"format": "address"})]
ShortName = Annotated[
    str, Field(min_length=1, max_length=100), AfterValidator(validate_printable), PRINTABLE
]
MessageTypeKey = Annotated[ShortName, Field(json_schema_extra={"format": "message-type"})]
TopicKey = Annotated[ShortName, Field(json_schema_extra={"format": "topic"})]
FrequencyKey = Annotated[ShortName, Field(json_schema_extra={"format": "frequency"})]
ScopeName = Annotated[ShortName, Field(json_schema_extra={"format": "scope"})]
ShortText = Annotated[
    str, Field(min_length=1, max_length=300), AfterValidator(validate_printable), PRINTABLE
]
WordingText = Annotated[
    str, Field(min_length=1, max_length=4000), AfterValidator(validate_printable), PRINTABLE
]
PolicyReference = Annotated[
    str,
    Field(
        max_length=40,
        pattern=r"^privacy/[a-z0-9][a-z0-9_.-]{0,31}$",
        json_schema_extra={"format": "policy"},
        description="The version of the privacy policy that was shown.",
    ),
]
LanguageTag = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
MessageId = Annotated[
    str,
    Field(max_length=MAX_MESSAGE_ID, json_schema_extra={"format": "message-id"}),
    AfterValidator(validate_printable),
    PRINTABLE,
]
