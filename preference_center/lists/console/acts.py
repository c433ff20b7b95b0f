"""What staff do with an import: begin, upload, map, apply, cancel, continue and undo it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from preference_center.catalogue.store import current_catalogue
from preference_center.catalogue.words import in_words
from preference_center.core.addresses import Channel
from preference_center.core.errors import ImportConflict, InvalidInput
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.integrations.base.presets import MeaningFilter
from preference_center.integrations.registry import load_presets
from preference_center.lists import store
from preference_center.lists.console.imports import (
    MAX_NAME,
    form_of,
    import_page,
    load_import,
    read_instructions,
    read_upload,
)
from preference_center.lists.imports import uploads
from preference_center.lists.imports.apply import start_undo_in_transaction
from preference_center.lists.imports.plan import stored_instructions
from preference_center.lists.rules.instructions import (
    ENCODINGS,
    ImportInstructions,
    ImportStats,
    LegalBasis,
    ScopeMap,
    build_scope_map,
)
from preference_center.lists.rules.rows import UnreadableDates, parse_date_format
from preference_center.web.console.frame import (
    csrf,
    current_actor,
    redirect_after_post,
    render_page,
)


def new_import() -> ResponseReturnValue:
    """Say how to read a file; the import that this creates waits for the file."""
    if request.method != "POST":
        return _form_page(MultiDict({"time_zone": "UTC"}), {})
    instructions, problems = read_instructions(request.form, ScopeMap({}))
    if instructions is None:
        return _form_page(request.form, problems)
    import_id, now = services().new_id(), services().now()
    name = request.form.get("name", "").strip()[:MAX_NAME]
    run_in_transaction(
        lambda connection: uploads.create_upload(
            connection, import_id, instructions, current_actor(), now, name=name
        )
    )
    return _to(import_id)


def change_import(import_id: UUID) -> ResponseReturnValue:
    """Change how the file is read; it is planned again."""
    found = load_import(import_id)
    try:
        stored = stored_instructions(found)
    except InvalidInput as error:
        return import_page(import_id, problem=str(error), status=HTTPStatus.CONFLICT)
    if request.method != "POST":
        return _form_page(form_of(stored), {}, import_id)
    instructions, problems = read_instructions(request.form, stored.scopes)
    if instructions is None:
        return _form_page(request.form, problems, import_id)
    return _replace(import_id, instructions)


def map_groups(import_id: UUID) -> ResponseReturnValue:
    """State the scope of each group, or the format of dates; the file is planned again."""
    found, form = load_import(import_id), request.form
    try:
        instructions = stored_instructions(found)
        if pattern := form.get("date_format"):
            instructions = replace(instructions, date_formats=(parse_date_format(pattern),))
        else:
            pairs = zip(form.getlist("group"), form.getlist("scope"), strict=False)
            scopes = build_scope_map((group, scope) for group, scope in pairs if scope)
            scopes.validate(current_catalogue())
            instructions = replace(instructions, scopes=scopes)
    except InvalidInput as error:
        return import_page(import_id, problem=str(error), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _replace(import_id, instructions)


def upload_import(import_id: UUID) -> ResponseReturnValue:
    """Store the file as it arrives, sealed; a worker reads it then."""
    fields, blocks = read_upload()
    request.form = ImmutableMultiDict(fields)
    csrf.protect()
    load_import(import_id)
    if blocks is None:
        return _refused(import_id, _("Choose a file."))
    try:
        uploads.receive_upload(import_id, blocks)
    except (ImportConflict, InvalidInput) as error:
        return _refused(import_id, str(error))
    return _to(import_id)


csrf.exempt(upload_import)  # it protects itself: the extension would load the whole file first


def apply_planned_import(import_id: UUID) -> ResponseReturnValue:
    """Apply the plan that was shown."""
    plan = request.form.get("plan", "")
    return _act(
        import_id,
        lambda connection: uploads.confirm_plan(connection, import_id, plan, current_actor()),
    )


def continue_import(import_id: UUID) -> ResponseReturnValue:
    """Ask a worker to go on at once."""
    load_import(import_id)
    services().queue.nudge_import(import_id)
    return _to(import_id)


def cancel_import(import_id: UUID) -> ResponseReturnValue:
    """Ask whether an import and its file are to be deleted, of which nothing was applied."""
    found = load_import(import_id)
    if request.method != "POST":
        return render_page("lists/cancel", found=found)
    try:
        run_in_transaction(
            lambda connection: uploads.cancel_upload(connection, import_id, current_actor())
        )
    except ImportConflict as error:
        return _refused(import_id, str(error))
    return redirect_after_post(url_for("console.imports"))


def undo_applied_import(import_id: UUID) -> ResponseReturnValue:
    """Ask whether to take back what an import added, and take it back."""
    found = load_import(import_id)
    if request.method == "POST":
        return _act(
            import_id,
            lambda connection: start_undo_in_transaction(connection, import_id, current_actor()),
        )
    return render_page(
        "lists/undo",
        found=found,
        count=ImportStats.from_json(found.stats).total_new,
        dependent=run_autocommit(
            lambda connection: store.list_dependent_imports(connection, import_id)
        ),
    )


def _replace(import_id: UUID, instructions: ImportInstructions) -> ResponseReturnValue:
    return _act(
        import_id,
        lambda connection: uploads.replace_instructions(connection, import_id, instructions),
    )


def _act(import_id: UUID, act: Callable[[Connection], object]) -> ResponseReturnValue:
    """Do something in one transaction, and let a worker continue."""
    load_import(import_id)
    try:
        run_in_transaction(act)
    except ImportConflict as error:
        return _refused(import_id, str(error))
    services().queue.nudge_import(import_id)
    return _to(import_id)


def _refused(import_id: UUID, problem: str) -> ResponseReturnValue:
    return import_page(import_id, problem=problem, status=HTTPStatus.UNPROCESSABLE_ENTITY)


def _to(import_id: UUID) -> ResponseReturnValue:
    return redirect_after_post(url_for("console.show_import", import_id=import_id))


def _form_page(
    form: MultiDict[str, str], problems: dict[str, str], import_id: UUID | None = None
) -> ResponseReturnValue:
    return render_page(
        "lists/instructions",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problems else HTTPStatus.OK,
        form=form,
        problems=problems,
        import_id=import_id,
        presets=[(each.name, each.title) for each in load_presets().values()],
        encodings=[(each, each) for each in ENCODINGS],
        channels=[(each.value, in_words(each)) for each in Channel],
        meanings=[*MeaningFilter],
        legal_bases=[*LegalBasis],
        unreadable=[*UnreadableDates],
    )
