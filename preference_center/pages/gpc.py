"""Global Privacy Control: the browser's signal `Sec-GPC: 1` (docs/decisions/0015)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import abort, request
from flask.typing import ResponseReturnValue

from preference_center.domain.events import ALL_MARKETING, Change
from preference_center.domain.gpc import GpcStatus, gpc_status
from preference_center.errors import Unavailable
from preference_center.links import Link
from preference_center.pages.ledger_changes import GLOBAL_PRIVACY_CONTROL, click_evidence, opt_out
from preference_center.pages.rendering import catalogue_or_empty, render_link_page
from preference_center.storage.catalogues import load_last_applied_at
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.ledger.suppression_lookup import load_exact_facts


def render_gpc_page(template: str, token: str, link: Link, **values: Any) -> ResponseReturnValue:
    """`render_link_page` with the status of the browser's signal, if it sends one.

    A revoked link reveals no earlier choice of its address.
    """
    gpc = None if link.revoked else _gpc_status(link)
    return render_link_page(template, token, link, gpc=gpc, **values)


def gpc_opt_out(link: Link, source: str, now: datetime) -> list[Change]:
    """The opt-out that the signal adds to this POST, if any. `source` is the page."""
    if _gpc_status(link) is not GpcStatus.PENDING:
        return []
    change = opt_out(link, ALL_MARKETING, source, now)
    return [replace(change, evidence=click_evidence(link, GLOBAL_PRIVACY_CONTROL))]


def gpc_support_document() -> ResponseReturnValue:
    """`/.well-known/gpc.json`: that we abide by the signal, and since when.

    The date is when the catalogue, which contains the policy, was last applied.
    """
    applied_at = run_in_transaction(load_last_applied_at)
    if applied_at is None:
        abort(404)
    return {"gpc": True, "lastUpdate": applied_at.date().isoformat()}


def _gpc_status(link: Link) -> GpcStatus | None:
    # 1 is the only value with a meaning; absence has none (W3C GPC, 2025-04-02).
    if request.headers.get("Sec-GPC") != "1":
        return None
    try:
        facts = load_exact_facts([link.address])[0]
    except Unavailable:  # the page must work without the database; the signal is ignored
        return None
    return gpc_status(catalogue_or_empty().policy.gpc, facts)
