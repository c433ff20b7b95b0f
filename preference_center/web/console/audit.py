"""The page of the audit shows who did what, and who looked at whose data and why."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.staff import AccessAction, Permission
from preference_center.core.tabular import to_spreadsheet_text
from preference_center.infra.audit import (
    AuditEntry,
    AuditFilter,
    AuditKey,
    insert_audit_entry,
    list_audit_actions,
    list_audit_actors,
    list_audit_entries,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.web.console.frame import Route, current_actor, render_page

PAGE_SIZE = 50
CSV_PAGE_SIZE = 1_000
MAX_CSV_ENTRIES = 100_000
LOOKS = "looks"
"""The choice of every look at a person's data."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the form has, as it was entered."""

    actor: str
    action: str
    day: str

    def to_query(self) -> dict[str, Any]:
        """For the URL of another page of the same list; what is empty is left out."""
        pairs = {"actor": self.actor, "action": self.action, "day": self.day}
        return {name: value for name, value in pairs.items() if value}


def audit() -> ResponseReturnValue:
    """A page of the audit, the newest first."""
    chosen = _chosen()
    wanted, problem = _filter_of(chosen)
    before = _parse_key(request.args.get("before", ""))

    def load(connection: Connection) -> tuple[list[AuditEntry], list[str], list[str]]:
        entries = list_audit_entries(connection, wanted, before, limit=PAGE_SIZE + 1)
        return entries, list_audit_actors(connection), list_audit_actions(connection)

    entries, actors, actions = run_in_transaction(load)
    query = chosen.to_query()
    more = len(entries) > PAGE_SIZE
    last = _format_key(entries[PAGE_SIZE - 1].key) if more else ""
    return render_page(
        "web/console/audit",
        status=422 if problem else 200,
        entries=[] if problem else entries[:PAGE_SIZE],
        actors=actors,
        actions=[("", _("Everything")), (LOOKS, _("Looks at people’s data"))]
        + [(name, name) for name in actions],
        chosen=chosen,
        problem=problem,
        older=url_for("console.audit", **query, before=last) if more and not problem else "",
        newest=url_for("console.audit", **query) if before else "",
        download=url_for("console.download_audit", **query),
    )


def download_audit() -> ResponseReturnValue:
    """The entries of a filter as CSV, the newest first; that it was read is an entry, too."""
    chosen = _chosen()
    wanted, problem = _filter_of(chosen)
    if problem:
        return audit()
    now = services().now()
    # What was typed as a name may be an address, which the audit never has (I12).
    detail = {name: text for name, text in chosen.to_query().items() if "@" not in text}
    run_in_transaction(
        lambda connection: insert_audit_entry(
            connection, now, current_actor(), "audit.downloaded", detail
        )
    )
    name = f"audit-{now:%Y-%m-%d}.csv"
    return Response(
        stream_with_context(_csv_of(wanted)),
        mimetype="text/csv",
        headers={"Content-Disposition": f"attachment; filename={name}"},
    )


def _csv_of(wanted: AuditFilter) -> Iterator[str]:
    yield _csv_lines([("at", "actor", "action", "detail", "reference")])
    before: AuditKey | None = None
    for _page in range(MAX_CSV_ENTRIES // CSV_PAGE_SIZE):
        entries = _csv_page(wanted, before)
        yield _csv_lines(
            (
                each.key.at.isoformat(),
                each.actor,
                each.action,
                describe_detail(each.detail),
                each.reference,
            )
            for each in entries
        )
        if len(entries) < CSV_PAGE_SIZE:
            return
        before = entries[-1].key


def _csv_page(wanted: AuditFilter, before: AuditKey | None) -> list[AuditEntry]:
    return run_autocommit(
        lambda connection: list_audit_entries(connection, wanted, before, limit=CSV_PAGE_SIZE)
    )


def _csv_lines(rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    text = StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow(map(to_spreadsheet_text, row))
    return text.getvalue()


def describe_detail(detail: Mapping[str, str | Sequence[str]]) -> str:
    """`name: ada; roles: admin, support`."""
    return "; ".join(
        f"{name}: {value if isinstance(value, str) else ', '.join(map(str, value))}"
        for name, value in sorted(detail.items())
        if value
    )


def _chosen() -> Chosen:
    return Chosen(*(request.args.get(name, "").strip() for name in ("actor", "action", "day")))


def _filter_of(chosen: Chosen) -> tuple[AuditFilter, str]:
    """The filter, and what is wrong with the form, if anything is."""
    actions = [chosen.action] if chosen.action else []
    if chosen.action == LOOKS:
        actions = [action.value for action in AccessAction]
    if not chosen.day:
        return AuditFilter(chosen.actor, actions), ""
    try:
        day = date.fromisoformat(chosen.day)
        since, until = _bounds(day)
    except (ValueError, OverflowError):
        return AuditFilter(chosen.actor, actions), _("Write the day as in 2026-11-24.")
    return AuditFilter(chosen.actor, actions, since, until), ""


def _bounds(day: date) -> tuple[datetime, datetime]:
    """When a day begins and ends where the company is."""
    zone = ZoneInfo(services().settings.time_zone)
    start, end = (
        datetime.combine(each, time(), zone).astimezone(UTC)
        for each in (day, day + timedelta(days=1))
    )
    return start, end


def _format_key(key: AuditKey) -> str:
    return f"{key.at.astimezone(UTC):%Y%m%dT%H%M%S.%f}Z-{key.id}"


def _parse_key(text: str) -> AuditKey | None:
    at, _dash, number = text.partition("-")
    try:
        moment = datetime.strptime(at, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
        return AuditKey(moment, int(number))
    except ValueError:
        return None


ROUTES = (
    Route("/audit", audit, Permission.VIEW_AUDIT),
    Route("/audit.csv", download_audit, Permission.VIEW_AUDIT),
)
