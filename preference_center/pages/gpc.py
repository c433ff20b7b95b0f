"""Global Privacy Control: what a browser asks for by `Sec-GPC: 1` (docs/decisions/0015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask import abort, request
from flask.typing import ResponseReturnValue

from preference_center.domain.catalogue import Gpc
from preference_center.domain.decisions import Fact, marketing_suppressed
from preference_center.domain.events import ALL_MARKETING, Change
from preference_center.errors import Unavailable
from preference_center.links import Link
from preference_center.pages.ledger_changes import GPC, evidence, opt_out
from preference_center.pages.rendering import catalogue_or_empty, link_page
from preference_center.storage.catalogues import last_applied
from preference_center.storage.db.database import run
from preference_center.storage.ledger.suppression_lookup import exact_facts_for


class Signal(StrEnum):
    """What the page says of a signal that it noticed."""

    OFFERED = "offered"
    COMING = "coming"
    """It is honoured as soon as any button is pressed: reading never writes (I7)."""
    HONOURED = "honoured"
    """All marketing is off."""
    OVERRULED = "overruled"
    """The person has turned all marketing on themselves; that is the more specific wish."""


def signalled_page(template: str, token: str, link: Link, **values: Any) -> ResponseReturnValue:
    """`link_page` that tells what becomes of the browser's signal, if it sends one.

    A revoked link tells nothing that its address has said before.
    """
    gpc = None if link.revoked else _signal(link)
    return link_page(template, token, link, gpc=gpc, **values)


def honouring(link: Link, source: str, now: datetime) -> list[Change]:
    """The opt-out that this POST brings besides what was pressed, if any (`source`: the page)."""
    if _signal(link) is not Signal.COMING:
        return []
    change = opt_out(link, ALL_MARKETING, source, now)
    return [replace(change, evidence=evidence(link, GPC))]


def support() -> ResponseReturnValue:
    """`/.well-known/gpc.json`: that we abide by the signal, and since when we say so.

    The time is when the catalogue, which holds the policy, was last applied.
    """
    applied_at = run(last_applied)
    if applied_at is None:
        abort(404)
    return {"gpc": True, "lastUpdate": applied_at.date().isoformat()}


def _signal(link: Link) -> Signal | None:
    # 1 is the only value that means anything; absence means nothing (W3C GPC, 2025-04-02).
    if request.headers.get("Sec-GPC") != "1":
        return None
    try:
        facts = exact_facts_for([link.address])[0]
    except Unavailable:  # the page must work without the database; the signal is left out
        return None
    if marketing_suppressed(facts):
        return Signal.HONOURED
    if catalogue_or_empty().policy.gpc is Gpc.OFFER:
        return Signal.OFFERED
    return Signal.OVERRULED if _turned_on(facts) else Signal.COMING


def _turned_on(facts: Sequence[Fact]) -> bool:
    """Whether the person has ever turned all marketing on, given that it is on now."""
    return any(fact.exact and fact.scope == ALL_MARKETING and fact.state.lift for fact in facts)
