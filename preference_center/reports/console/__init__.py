"""`/console/reports`: the counts that compliance is asked for."""

from __future__ import annotations

from preference_center.core.staff import Permission
from preference_center.reports.console.pages import report_csv, reports
from preference_center.web.console.frame import Route

ROUTES: tuple[Route, ...] = (
    Route("/reports", reports, Permission.VIEW_REPORTS),
    Route("/reports/<name>.csv", report_csv, Permission.VIEW_REPORTS),
)
