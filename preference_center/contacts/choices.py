"""Build the ledger changes that a person's choices on the pages make."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from preference_center.catalogue import Topic
from preference_center.core.events import Change, EventKind, FrequencyChoice, Retraction
from preference_center.core.links import is_opt_out_only as may_only_opt_out
from preference_center.core.links.tokens import Link
from preference_center.decisions.rules import frequency_choice
from preference_center.infra.context import services
from preference_center.ledger.rules import redact_evidence
from preference_center.web.languages import page_language
from preference_center.web.pages.rendering import catalogue_or_empty, link_wording, text_version

ACTOR = "recipient"

ONE_CLICK = "one_click"
UNSUBSCRIBE_PAGE = "unsubscribe_page"
PREFERENCE_PAGE = "preference_page"

CONFIRMED_BY_MAIL = "confirmed_by_mail"


def opt_out(link: Link, scope: str, source: str, now: datetime) -> Change:
    """The person's own opt-out; a repeat while it is active adds nothing (I7)."""
    return _build_change(link, EventKind.OPTED_OUT, scope, now, now, source=source)


def opt_in(link: Link, scope: str, rendered_at: datetime, now: datetime, wording: str) -> Change:
    """The person's own opt-in: it counts from when they saw the form, not the POST (I5).

    `wording` is what the page said that they agreed to (art. 7(1) GDPR).
    """
    return _build_change(link, EventKind.OPTED_IN, scope, rendered_at, now, wording=wording)


def pause(link: Link, scope: str, until: datetime, now: datetime) -> Change:
    """The person's own pause: it counts from the POST and ends by itself."""
    return _build_change(link, EventKind.PAUSED, scope, now, now, until=until)


def resume(link: Link, scope: str, rendered_at: datetime, now: datetime) -> Change:
    """End a pause early: a newer pause of the scope, of zero length.

    It ends the pauses that the person saw and nothing else: no opt-out is lifted and no
    consent given, and a pause from after the form was rendered continues (I5).
    """
    return _build_change(link, EventKind.PAUSED, scope, rendered_at, now, until=rendered_at)


def choose_frequency(
    link: Link, topic: Topic, key: str, occurred_at: datetime, now: datetime
) -> Change:
    """How often the person wants a topic. Raises InvalidInput if the topic does not offer it."""
    kind, chosen = EventKind.FREQUENCY_CHOSEN, frequency_choice(topic, key)
    return _build_change(link, kind, topic.key, occurred_at, now, frequency=chosen)


def _build_change(
    link: Link,
    kind: EventKind,
    scope: str,
    occurred_at: datetime,
    received_at: datetime,
    *,
    source: str = PREFERENCE_PAGE,
    until: datetime | None = None,
    frequency: FrequencyChoice | None = None,
    wording: str = "",
) -> Change:
    return Change(
        id=services().new_id(),
        kind=kind,
        address=link.address,
        scope=scope,
        occurred_at=occurred_at,
        received_at=received_at,
        source=source,
        actor=ACTOR,
        evidence=click_evidence(link, source, wording),
        until=until,
        own_act=kind is EventKind.OPTED_OUT,
        frequency=frequency,
    )


def retract(
    link: Link,
    id: UUID,  # noqa: A002 - as in `Retraction`
    events: Sequence[UUID],
    source: str,
    now: datetime,
) -> Retraction:
    """The person's own undo of these events; all others stand (I5)."""
    return Retraction(
        id=id,
        event_ids=tuple(events),
        occurred_at=now,
        source=source,
        actor=ACTOR,
        evidence=click_evidence(link, source),
    )


def is_opt_out_only(link: Link, now: datetime) -> bool:
    """Whether the link may only opt out: see `core.links`."""
    return may_only_opt_out(
        link.issued_at,
        now,
        revoked=link.revoked,
        proves_control=link.proves_control,
        has_message_id=bool(link.message_id),
    )


def click_evidence(link: Link, method: str, wording: str = "") -> dict[str, str]:
    """The evidence kept of the click: no IP address, no User-Agent, no address (I8).

    `wording` is what a consent was given to; empty for what is none.
    """
    evidence = {
        "method": method,
        "key_id": link.key_id,
        "message_id": link.message_id,
        "issued_at": link.issued_at.isoformat(),
    }
    if link.destination_id is not None:
        evidence["destination"] = str(link.destination_id)
    if method != ONE_CLICK:  # a mail client shows its own text
        version = text_version(link_wording(link))
        evidence |= {"text_version": version, "language": page_language()}
        catalogue, now = catalogue_or_empty(), services().now()
        policy = catalogue.policy_asked_for(now) if wording else catalogue.policy_in_force(now)
        evidence |= {"policy": policy.reference} if policy else {}
    evidence |= {"wording": wording} if wording else {}
    return redact_evidence(evidence, link.address, services().keys.evidence_hmac)
