"""From what a person pressed to what the ledger takes."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from preference_center.domain.events import Change, Kind
from preference_center.extensions import services
from preference_center.languages import page_language
from preference_center.ledger import record
from preference_center.links import Link
from preference_center.recipients.pages import text_version

ACTOR = "recipient"

ONE_CLICK = "one_click"
UNSUBSCRIBE_PAGE = "unsubscribe_page"
PREFERENCE_PAGE = "preference_page"

OPT_IN_AGE = timedelta(days=60)
"""How old a link may be and still turn something on; docs/decisions says why."""


def opt_out(link: Link, scope: str, source: str, now: datetime) -> Change:
    """The person's own "no"; a repeat adds nothing while it stands (I7)."""
    return Change(
        id=services().new_id(),
        kind=Kind.OPTED_OUT,
        address=link.address,
        scope=scope,
        occurred_at=now,
        received_at=now,
        source=source,
        actor=ACTOR,
        evidence=evidence(link, source),
        once=True,
    )


def opt_in(link: Link, scope: str, rendered_at: datetime, now: datetime) -> Change:
    """The person's own "yes": it counts from when they saw the form, not the POST (I5)."""
    return Change(
        id=services().new_id(),
        kind=Kind.OPTED_IN,
        address=link.address,
        scope=scope,
        occurred_at=rendered_at,
        received_at=now,
        source=PREFERENCE_PAGE,
        actor=ACTOR,
        evidence=evidence(link, PREFERENCE_PAGE),
    )


def may_opt_in(link: Link, now: datetime) -> bool:
    """Whether this link is fresh enough to prove that the address is still its reader's."""
    return now - link.issued_at <= OPT_IN_AGE


def record_opt_out(link: Link, scope: str, source: str) -> tuple[UUID, ...]:
    """Record the "no"; returns the events it made: none if it stood already."""
    return record([opt_out(link, scope, source, services().now())]).events


def evidence(link: Link, method: str) -> dict[str, str]:
    """What is kept to prove the click: no IP address, no User-Agent (I8)."""
    found = {
        "method": method,
        "key_id": link.key_id,
        "message_id": link.message_id,
        "issued_at": link.issued_at.isoformat(),
    }
    if method != ONE_CLICK:  # a mail client shows its own words
        found |= {"text_version": text_version(), "language": page_language()}
    return found
