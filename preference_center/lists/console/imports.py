"""The console lists imports, shows one, and reads the form that says how to read a file.

The file arrives with that form. States and counts of imports are put into words here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, lazy_gettext
from flask_babel import gettext as _
from flask_babel.speaklater import LazyString
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData
from werkzeug.wsgi import get_input_stream

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.errors import InvalidInput, UnknownImport
from preference_center.core.events import ALL_MARKETING, SHARING
from preference_center.infra.db.transactions import run_autocommit
from preference_center.integrations.base.presets import RowMeaning
from preference_center.lists import store
from preference_center.lists.imports.plan import (
    PlanStats,
    build_instructions,
    stored_instructions,
)
from preference_center.lists.imports.uploads import MAX_FILE_BYTES, REPLACEABLE_STATES
from preference_center.lists.rules.instructions import (
    LEAVE_OUT,
    ImportInstructions,
    ImportStats,
    ScopeMap,
)
from preference_center.lists.store import UNFINISHED_STATES, Import, ImportState
from preference_center.web.console.frame import render_page

STATE_TITLES: Mapping[ImportState, LazyString] = {
    ImportState.AWAITING_FILE: lazy_gettext("waits for its file"),
    ImportState.UPLOADED: lazy_gettext("is being read"),
    ImportState.PLANNED: lazy_gettext("waits for your confirmation"),
    ImportState.UNUSABLE: lazy_gettext("needs instructions"),
    ImportState.APPLYING: lazy_gettext("is being applied"),
    ImportState.APPLIED: lazy_gettext("applied"),
    ImportState.UNDOING: lazy_gettext("is being undone"),
    ImportState.UNDONE: lazy_gettext("undone"),
}


STATE_KINDS: Mapping[ImportState, str] = dict.fromkeys(ImportState, "none") | {
    ImportState.PLANNED: "warn",
    ImportState.UNUSABLE: "bad",
    ImportState.APPLIED: "good",
}
"""As `ui.badge` has them."""


MEANING_TITLES: Mapping[RowMeaning, LazyString] = {
    RowMeaning.OPT_OUT: lazy_gettext("opt-out"),
    RowMeaning.SUBSCRIPTION: lazy_gettext("subscription"),
    RowMeaning.BOUNCE: lazy_gettext("bounce"),
    RowMeaning.COMPLAINT: lazy_gettext("complaint"),
}


# From the beginning of a word, so that a long one without an @ is read once.
_ADDRESS = re.compile(r"(?<![^\s\"'<>(),;:=])[^\s\"'<>(),;:=]+@[^\s\"'<>(),;:=]+")


def without_addresses(text: str) -> str:
    """A text about a file, which may quote a cell of it, with no address in it (I12)."""
    return _ADDRESS.sub("•••@•••", text)


def warnings_of(stats: ImportStats) -> list[str]:
    """What to know before an import with these counts is applied."""
    found: list[tuple[int, str]] = [
        (
            stats.refused,
            _("Refused, and not imported: %(count)s. See why below."),
        ),
        (
            stats.undated,
            _("Opt-outs, bounces and complaints without a date, which count from now: %(count)s."),
        ),
        (
            stats.without_country_code,
            _("Phone numbers without a country code, read as local ones: %(count)s."),
        ),
        (
            stats.other_readings,
            _("More opt-outs, of cells with several addresses or an apostrophe: %(count)s."),
        ),
        (
            stats.without_evidence,
            _("Subscriptions without evidence, recorded as unproven: %(count)s."),
        ),
        (
            stats.still_suppressed,
            _("Subscriptions that stay off, since these people have opted out: %(count)s."),
        ),
        (stats.excluded, _("Left out, as instructed: %(count)s.")),
        (stats.without_data, _("Rows with nothing that could be imported: %(count)s.")),
    ]
    return [text % {"count": format_decimal(count)} for count, text in found if count]


IMPORTS_PER_PAGE = 50


REFUSALS_SHOWN = 100


_PERCENT = 100


@dataclass(frozen=True, slots=True)
class MappedGroup:
    """A group of the file, with the scope that is stated for it, if one is."""

    group: str
    meaning: str
    count: int
    scope: str


def imports() -> ResponseReturnValue:
    """The imports, the newest first."""
    before = request.args.get("before", type=UUID)
    found = run_autocommit(
        lambda connection: store.list_newest_imports(connection, IMPORTS_PER_PAGE + 1, before)
    )
    shown = found[:IMPORTS_PER_PAGE]
    older = url_for("console.imports", before=shown[-1].id) if len(found) > len(shown) else ""
    return _page(
        "list",
        imports=shown,
        older=older,
        is_live=any(each.state in UNFINISHED_STATES for each in shown),
        new_counts={each.id: ImportStats.from_json(each.stats).total_new for each in shown},
        percents={each.id: percent_done(each) for each in shown},
    )


def import_page(
    import_id: UUID, *, problem: str = "", status: int = HTTPStatus.OK
) -> ResponseReturnValue:
    """One import: what it would do or did, and what can be done with it."""
    found = load_import(import_id)
    plan = PlanStats.from_json(found.planned_stats)
    stats = ImportStats.from_json(found.stats) if found.stats else plan.stats
    return _page(
        "import",
        status=status,
        problem=problem,
        found=found,
        stats=stats,
        percent=percent_done(found),
        is_live=found.state in UNFINISHED_STATES,
        is_replaceable=found.state in REPLACEABLE_STATES,
        warnings=warnings_of(stats) if found.state is not ImportState.UPLOADED else [],
        refusals=found.rejected_rows[:REFUSALS_SHOWN],
        groups=_mapped_groups(found, plan),
        is_mapping_missing=found.state is ImportState.UNUSABLE and bool(plan.unmapped),
        scopes=scope_choices(),
        date_patterns=plan.dates.patterns or [],
        without_addresses=without_addresses,
        resume_command=f"flask imports resume {found.id} FILE",
    )


def load_import(import_id: UUID) -> Import:
    """The import, or the request ends with 404."""
    try:
        return run_autocommit(lambda connection: store.get_import(connection, import_id))
    except UnknownImport:
        abort(HTTPStatus.NOT_FOUND)


def scope_choices() -> list[str]:
    """What a group can stand for."""
    topics = current_catalogue_or_empty().topics.values()
    return [*(t.key for t in topics if not t.retired), ALL_MARKETING, SHARING, LEAVE_OUT]


def percent_done(found: Import) -> int:
    """How far the work on an import is, from 0 to 100."""
    if found.state is ImportState.UNDOING:
        done, whole = found.undone_count, ImportStats.from_json(found.stats).total_new
    else:
        done, whole = found.bytes_done, found.size_bytes
    return min(_PERCENT, done * _PERCENT // whole) if whole else 0


def _mapped_groups(found: Import, plan: PlanStats) -> list[MappedGroup]:
    """The groups that were found, those without a scope first."""
    try:
        scopes = stored_instructions(found).scopes
    except InvalidInput:  # the preset is not there any more
        return []
    groups = [
        MappedGroup(group, str(MEANING_TITLES[meaning]), count, scopes.scope_of(group) or "")
        for (meaning, group), count in plan.groups.items()
    ]
    return sorted(groups, key=lambda each: (each.scope != "", -each.count))


def _page(template: str, **values: Any) -> ResponseReturnValue:
    return render_page(
        f"lists/{template}",
        state_titles=STATE_TITLES,
        state_kinds=STATE_KINDS,
        meaning_titles=MEANING_TITLES,
        **values,
    )


MAX_NAME, MAX_TEXT, MAX_DATE_FORMATS = 100, 4_000, 10


_BLOCK_SIZE = 1 << 16


_MAX_HEAD = 1 << 20
"""Bytes of the fields before the file, and of what the parser holds at a time."""


def read_instructions(
    form: MultiDict[str, str], scopes: ScopeMap
) -> tuple[ImportInstructions | None, dict[str, str]]:
    """The instructions in a form, or None with what is wrong, by field; `scopes` stay."""
    problems: dict[str, str] = {}

    def collect(name: str, parse: Callable[..., object], *given: object) -> object:
        try:
            return parse(*given)
        except (InvalidInput, ValueError) as error:
            text = str(error) if isinstance(error, InvalidInput) else _("Choose one of the list.")
            problems[name] = text
            return None

    given: dict[str, Any] = {name: form.get(name, "").strip()[:MAX_TEXT] for name in form}
    patterns = map(str.strip, given.get("date_formats", "").splitlines())
    given["date_formats"] = [each for each in patterns if each][:MAX_DATE_FORMATS]
    instructions = build_instructions(given, scopes, collect)
    return (None if problems else instructions), problems


def form_of(instructions: ImportInstructions) -> MultiDict[str, str]:
    """The form as it would have been filled in for these instructions."""
    stored, received = instructions.to_json(), instructions.received_at
    return MultiDict(
        {name: value or "" for name, value in stored.items() if name != "scopes"}
        | {
            "only": stored["as"] or "",
            "column": stored["address_column"],
            "date_formats": "\n".join(stored["date_formats"]),
            "received_at": received.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if received else "",
        }
    )


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
