"""The catalogue: read as pages, compared, edited and applied; `previews` has its previews."""

from __future__ import annotations

from preference_center.catalogue.console.editing import edit_catalogue
from preference_center.catalogue.console.reading import (
    catalogue_message_types,
    catalogue_overview,
    catalogue_privacy,
    catalogue_topics,
    catalogue_websites,
)
from preference_center.catalogue.console.versions import (
    catalogue_version,
    catalogue_versions,
    compare_catalogues,
)
from preference_center.console.routing import Route
from preference_center.core.staff import Permission

_VIEW = Permission.VIEW_CATALOGUE

ROUTES = (
    Route("/catalogue", catalogue_overview, _VIEW),
    Route("/catalogue/topics", catalogue_topics, _VIEW),
    Route("/catalogue/message-types", catalogue_message_types, _VIEW),
    Route("/catalogue/websites", catalogue_websites, _VIEW),
    Route("/catalogue/privacy", catalogue_privacy, _VIEW),
    Route("/catalogue/versions", catalogue_versions, _VIEW),
    Route("/catalogue/versions/<int:number>", catalogue_version, _VIEW),
    Route("/catalogue/compare", compare_catalogues, _VIEW),
    Route("/catalogue/edit", edit_catalogue, Permission.APPLY_CATALOGUE, ("GET", "POST")),
)
