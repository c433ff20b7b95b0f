"""The form that says how to read a file, and the file itself as it arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import request
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData
from werkzeug.wsgi import get_input_stream

from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.integrations.registry import get_preset
from preference_center.ledger.rules import clamp_to_now
from preference_center.lists.imports.instructions import validate_encoding, validate_time_zone
from preference_center.lists.imports.uploads import MAX_FILE_BYTES
from preference_center.lists.rules.date_formats import UnreadableDates, parse_date_format
from preference_center.lists.rules.instructions import ImportInstructions, LegalBasis
from preference_center.lists.rules.scopes import ScopeMap

T = TypeVar("T")

MAX_NAME, MAX_TEXT, MAX_DATE_FORMATS = 100, 4_000, 10
_BLOCK_SIZE = 1 << 16
_MAX_HEAD = 1 << 20
"""Bytes of the fields before the file, and of what the parser holds at a time."""


@dataclass(slots=True)
class FormProblems:
    """What is wrong with a form, by field."""

    found: dict[str, str] = field(default_factory=dict)

    def collect(self, name: str, parse: Callable[..., T], *arguments: Any) -> T | None:
        """What `parse` returns; None, and a problem of this field, if it raises an error."""
        try:
            return parse(*arguments)
        except (InvalidInput, ValueError) as error:
            text = str(error) if isinstance(error, InvalidInput) else _("Choose one of the list.")
            self.found[name] = text
            return None


def read_instructions(
    form: MultiDict[str, str], scopes: ScopeMap
) -> tuple[ImportInstructions | None, dict[str, str]]:
    """The instructions in a form, or None with what is wrong, by field; `scopes` stay."""
    problems = FormProblems()
    text = {name: form.get(name, "").strip()[:MAX_TEXT] for name in form}

    def chosen(name: str, kind: Callable[[str], T]) -> T | None:
        return problems.collect(name, kind, text[name]) if text.get(name) else None

    preset = problems.collect("preset", get_preset, text.get("preset", ""))
    zone, encoding = text.get("time_zone") or "UTC", text.get("encoding") or "utf-8"
    problems.collect("time_zone", validate_time_zone, zone)
    problems.collect("encoding", validate_encoding, encoding)
    patterns = [line.strip() for line in text.get("date_formats", "").splitlines() if line.strip()]
    formats = problems.collect(
        "date_formats", lambda: tuple(map(parse_date_format, patterns[:MAX_DATE_FORMATS]))
    )
    received_at = chosen("received_at", _parse_time)
    values = {
        "meaning_filter": chosen("only", MeaningFilter),
        "channel": chosen("channel", Channel) or Channel.EMAIL,
        "legal_basis": chosen("legal_basis", LegalBasis),
        "unreadable_dates": chosen("unreadable_dates", UnreadableDates) or UnreadableDates.REFUSE,
    }
    if problems.found or preset is None:
        return None, problems.found
    instructions = ImportInstructions(
        preset=preset,
        scopes=scopes,
        source=text.get("source", ""),
        wording=text.get("wording", ""),
        language=text.get("language", ""),
        zone=zone,
        encoding=encoding,
        received_at=received_at,
        address_column=text.get("column", ""),
        date_column=text.get("date_column", ""),
        date_formats=formats or (),
        **values,  # type: ignore[arg-type]
    )
    problems.collect("only", instructions.check)
    return (None if problems.found else instructions), problems.found


def form_of(instructions: ImportInstructions) -> MultiDict[str, str]:
    """The form as it would have been filled in for these instructions."""
    received = instructions.received_at
    return MultiDict(
        {
            "preset": instructions.preset.name,
            "only": instructions.meaning_filter or "",
            "channel": instructions.channel,
            "column": instructions.address_column,
            "date_column": instructions.date_column,
            "date_formats": "\n".join(each.pattern for each in instructions.date_formats),
            "unreadable_dates": instructions.unreadable_dates,
            "time_zone": instructions.zone,
            "encoding": instructions.encoding,
            "received_at": received.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if received else "",
            "source": instructions.source,
            "wording": instructions.wording,
            "language": instructions.language,
            "legal_basis": instructions.legal_basis or "",
        }
    )


def _parse_time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return clamp_to_now(at if at.tzinfo else at.replace(tzinfo=UTC), services().now())


def read_upload() -> tuple[dict[str, str], Iterator[bytes] | None]:
    """The fields of this request's form, and the blocks of the file that follows them.

    Nothing is kept in memory or on disk: a list of addresses may be large, and would lie there
    unsealed. None instead of blocks where no file was chosen. Raises BadRequest for another kind
    of body.
    """
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary:
        raise BadRequest
    decoder = MultipartDecoder(boundary.encode("latin-1", "replace"), _MAX_HEAD, max_parts=20)
    events = _events(decoder)
    fields: dict[str, str] = {}
    name, left = "", _MAX_HEAD
    for event in events:
        match event:
            case Field():
                name = event.name
                fields[name] = ""
            case Data() if name:
                left -= len(event.data)
                if left < 0:
                    raise RequestEntityTooLarge
                fields[name] += event.data.decode("utf-8", "replace")
            case File():
                return fields, _file_blocks(events) if event.filename else None
            case _:
                pass
    return fields, None


def _events(decoder: MultipartDecoder) -> Iterator[Event]:
    stream = get_input_stream(request.environ, safe_fallback=False)
    while True:
        try:
            event = decoder.next_event()
        except ValueError:
            raise BadRequest from None
        if isinstance(event, Epilogue):
            return
        if isinstance(event, NeedData):
            decoder.receive_data(stream.read(_BLOCK_SIZE) or None)
            continue
        yield event


def _file_blocks(events: Iterator[Event]) -> Iterator[bytes]:
    left = MAX_FILE_BYTES
    for event in events:
        if not isinstance(event, Data):
            return
        left -= len(event.data)
        if left < 0:
            raise RequestEntityTooLarge
        yield event.data
        if not event.more_data:
            return
