"""The console's pages of imports: upload, plan, confirm, follow, undo."""

from __future__ import annotations

from uuid import UUID

from flask.typing import ResponseReturnValue

from preference_center.core.staff import Permission
from preference_center.lists.console import acts, imports
from preference_center.web.console.frame import Route

_IMPORT = Permission.IMPORT


def show_import(import_id: UUID) -> ResponseReturnValue:
    """The page of one import."""
    return imports.import_page(import_id)


ROUTES = (
    Route("/imports", imports.imports, _IMPORT),
    Route("/imports/new", acts.new_import, _IMPORT, ("GET", "POST")),
    Route("/imports/<uuid:import_id>", show_import, _IMPORT),
    Route("/imports/<uuid:import_id>/file", acts.upload_import, _IMPORT, ("POST",)),
    Route("/imports/<uuid:import_id>/instructions", acts.change_import, _IMPORT, ("GET", "POST")),
    Route("/imports/<uuid:import_id>/groups", acts.map_groups, _IMPORT, ("POST",)),
    Route("/imports/<uuid:import_id>/apply", acts.apply_planned_import, _IMPORT, ("POST",)),
    Route("/imports/<uuid:import_id>/continue", acts.continue_import, _IMPORT, ("POST",)),
    Route("/imports/<uuid:import_id>/cancel", acts.cancel_import, _IMPORT, ("GET", "POST")),
    Route("/imports/<uuid:import_id>/undo", acts.undo_applied_import, _IMPORT, ("GET", "POST")),
)
