"""What senders may send: the bodies, and reading them strictly.

A body is read by pydantic straight from its octets, so a list of ten thousand plain
strings never becomes ten thousand objects of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from flask import request
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from preference_center.domain.addresses import Channel
from preference_center.domain.events import ALL_MARKETING
from preference_center.domain.preferences import Setting
from preference_center.domain.requests import Via
from preference_center.links import MAX_MESSAGE_ID
from preference_center.senders.problems import (
    MALFORMED_JSON,
    WRONG_CONTENT_TYPE,
    Fault,
    InvalidBody,
    Refused,
    faults_of,
)

MAX_ROWS = 10_000
MAX_CHOICES = 1_000

B = TypeVar("B", bound="Body")
T = TypeVar("T")

# C0, C1 and lone surrogates: nothing a person can read, and NUL can't be stored.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _readable(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise ValueError("text may hold no control characters")
    return text


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_readable)]
Line = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_readable)]
Wording = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_readable)]
Language = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class Body(BaseModel):
    """A JSON object with these fields and no others, each of exactly its type."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class Question(Body):
    """May this message go to that recipient, or to each of these?"""

    message_type: Name
    channel: Channel = Channel.EMAIL
    recipient: str | None = None
    recipients: Annotated[list[str], Field(max_length=MAX_ROWS)] | None = None

    @model_validator(mode="after")
    def _one_or_many(self) -> Question:
        if (self.recipient is None) == (self.recipients is None):
            raise ValueError("give either recipient (one address) or recipients (a list)")
        return self


class OptOut(Body):
    """A person said no."""

    address: str
    channel: Channel = Channel.EMAIL
    scope: Name
    via: Via
    received_at: AwareDatetime
    occurred_at: AwareDatetime | None = None


class Evidence(Body):
    """What shows that a person said yes."""

    source: Line
    wording: Wording
    language: Language
    occurred_at: AwareDatetime


class Consent(Body):
    """A person said yes."""

    address: str
    channel: Channel = Channel.EMAIL
    topic: Name
    evidence: Evidence
    own_act: bool = False


class LinkRequest(Body):
    """Links for one message."""

    address: str
    channel: Channel = Channel.EMAIL
    scope: Name
    message_id: Annotated[str, Field(max_length=MAX_MESSAGE_ID), AfterValidator(_readable)] = ""


class PortalRequest(Body):
    """A way to the page of a person who is signed in with the company."""

    address: str
    channel: Channel = Channel.EMAIL
    language: Language | None = None


class PreferencesQuery(Body):
    """What does this address receive?"""

    address: str
    channel: Channel = Channel.EMAIL


class ChoiceMade(Body):
    """What the person chose for one scope."""

    state: Setting
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _only_a_pause_ends(self) -> ChoiceMade:
        if (self.state is Setting.PAUSED) != (self.until is not None):
            raise ValueError("give until with the state paused, and with no other")
        return self


class PreferencesChange(Body):
    """What a person who is signed in with the company changed."""

    address: str
    channel: Channel = Channel.EMAIL
    rendered_at: AwareDatetime
    evidence: Evidence
    all_marketing: ChoiceMade | None = None
    topics: Annotated[dict[Name, ChoiceMade], Field(max_length=MAX_CHOICES)] = {}

    @model_validator(mode="after")
    def _in_its_place(self) -> PreferencesChange:
        if ALL_MARKETING in self.topics:
            raise ValueError("all_marketing stands beside topics, not in it")
        return self

    @property
    def turns_on(self) -> bool:
        """Whether anything of it may lift a no."""
        made = [*self.topics.values(), *filter(None, [self.all_marketing])]
        return any(choice.state is Setting.ON for choice in made)


@dataclass(frozen=True, slots=True)
class Rows(Generic[B]):
    """One row, or a batch of them, that is taken as a whole or not at all."""

    rows: tuple[B, ...]
    batch: bool

    def pointed(self) -> Iterator[tuple[str, B]]:
        """Each row after its JSON pointer."""
        for index, row in enumerate(self.rows):
            yield (f"/{index}" if self.batch else ""), row

    def answer(self, answers: list[dict[str, Any]]) -> bytes:
        """The JSON in the shape of the question."""
        return json.dumps(answers if self.batch else answers[0]).encode()


_BATCHES: dict[type[Body], TypeAdapter[Any]] = {
    OptOut: TypeAdapter(Annotated[list[OptOut], Field(max_length=MAX_ROWS)]),
    Consent: TypeAdapter(Annotated[list[Consent], Field(max_length=MAX_ROWS)]),
    LinkRequest: TypeAdapter(Annotated[list[LinkRequest], Field(max_length=MAX_ROWS)]),
}


def read_body(model: type[B]) -> B:
    """The one object in the body. Raises Refused or InvalidBody."""
    return _read(_raw(), model.model_validate_json, model)


def read_rows(model: type[B]) -> Rows[B]:
    """The row, or the array of rows, in the body. Raises Refused or InvalidBody."""
    raw = _raw()
    if raw.lstrip(b" \t\r\n")[:1] == b"[":
        return Rows(tuple(_read(raw, _BATCHES[model].validate_json, model)), batch=True)
    return Rows((_read(raw, model.model_validate_json, model),), batch=False)


def _raw() -> bytes:
    if request.mimetype != "application/json" or request.content_encoding:
        raise Refused(WRONG_CONTENT_TYPE, WRONG_CONTENT_TYPE.remedy)
    return request.get_data(cache=False)


def _read(raw: bytes, validate: Callable[[bytes], T], model: type[Body]) -> T:
    try:
        body = validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise Refused(MALFORMED_JSON, first["msg"]) from None
        raise InvalidBody(faults_of(error, model)) from None
    # Now that its shape is known to be flat, a second reading can't run away.
    json.loads(raw, object_pairs_hook=_refuse_repeated)
    return body


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    """Readers differ on which of two equal keys counts (RFC 8259 4), so neither does."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidBody([Fault("", "repeated-field", f"the field {key} stands there twice")])
        seen.add(key)
