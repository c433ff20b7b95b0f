"""What a new version of the catalogue would change, and applying it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from preference_center.catalogue import store as catalogues
from preference_center.catalogue.rules.deliverability import catalogue_warnings
from preference_center.catalogue.rules.diff import (
    CatalogueDiff,
    ChangeKind,
    diff_catalogues,
    rejection_reasons,
    removed_frequencies,
    topics_to_check,
)
from preference_center.catalogue.rules.model import Catalogue
from preference_center.catalogue.rules.parser import catalogue_digest, parse_catalogue
from preference_center.core.errors import CatalogueConflict
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.hooks import Hook


@dataclass(frozen=True, slots=True)
class CatalogueReview:
    """What applying a text would do. `base` is the digest of the version that it was compared with.

    `new` is the catalogue in the text. Where the text is that of the version in force,
    `is_current`, there is nothing to apply; neither where it is `refused`.
    """

    base: str
    new: Catalogue
    is_current: bool
    changes: tuple[str, ...] = ()
    """As `CatalogueDiff.format_lines` returns them."""
    warnings: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    """On people's choices, destinations and senders."""
    refused: tuple[str, ...] = ()
    """Why it may not be applied, each with its remedy."""


@Hook
def list_topics_in_use(
    connection: Connection, topics: Collection[str], now: datetime
) -> Collection[str]:
    """Those of `topics` that must not be deleted: an opt-out or a running pause refers to them."""
    raise NotImplementedError


@Hook
def count_spooled() -> int:
    """How many opt-outs, of whatever topics, wait on the disk of this host to be recorded."""
    raise NotImplementedError


@Hook
def count_choices(connection: Connection) -> Mapping[tuple[str, str], int]:
    """How many addresses chose each frequency, by topic and key."""
    raise NotImplementedError


@Hook
def list_topics_sent(connection: Connection) -> Mapping[str, frozenset[str]]:
    """The topics that each destination sends, by its name."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SenderKey:
    """An API key with which decisions are asked for. `message_types` is None for every type."""

    name: str
    message_types: Collection[str] | None
    last_used_at: datetime | None


@Hook
def list_sender_keys(connection: Connection) -> Collection[SenderKey]:
    """Those that are not revoked, by name."""
    raise NotImplementedError


def review_catalogue(
    connection: Connection, text: str, known_texts: Collection[str]
) -> CatalogueReview:
    """Compare a text with the version in force.

    `known_texts` are those of `parse_catalogue`, whose CatalogueError it raises.
    """
    new = parse_catalogue(text, known_texts)
    current = catalogues.load_current_text(connection)
    base = catalogue_digest(current) if current is not None else ""
    if current == text:
        return CatalogueReview(base, new, is_current=True)
    diff = diff_catalogues(catalogues.parse_stored(current) if current is not None else None, new)
    at_stake = topics_to_check(diff)
    now = services().now()
    suppressed = list_topics_in_use(connection, at_stake, now)
    return CatalogueReview(
        base=base,
        new=new,
        is_current=False,
        changes=tuple(diff.format_lines() or ["Only comments or formatting differ."]),
        warnings=tuple(catalogue_warnings(new)),
        effects=(
            *_lost_choices(connection, diff),
            *_affected_destinations(connection, diff),
            *_denied_senders(connection, diff, new),
        ),
        refused=(*rejection_reasons(diff, suppressed), *_spooled_opt_outs(at_stake)),
    )


def apply_catalogue(
    connection: Connection,
    text: str,
    known_texts: Collection[str],
    actor: str,
    *,
    base: str | None = None,
) -> tuple[CatalogueReview, int | None]:
    """Store a text as the new version; returns its review, and its number if it was stored.

    It is not stored if it is refused or the version in force. Call
    `clear_catalogue_cache` after the commit. With `base`, the digest of the version
    that somebody has compared it with, raises CatalogueConflict if that is no longer in force.
    """
    catalogues.lock_for_apply(connection)
    review = review_catalogue(connection, text, known_texts)
    if base is not None and review.base != base and not review.is_current:
        raise CatalogueConflict(
            "another version was applied in the meantime: compare yours with it, then apply it"
        )
    if review.is_current or review.refused:
        return review, None
    now, digest = services().now(), catalogue_digest(text)
    version = catalogues.insert_version(connection, text, digest, now, actor)
    audit.insert_audit_entry(
        connection, now, actor, "catalogue.applied", {"version": str(version), "digest": digest}
    )
    return review, version


def _spooled_opt_outs(at_stake: Collection[str]) -> Iterator[str]:
    """What keeps topics from being changed while one of them may be in a spool (I5)."""
    waiting = count_spooled() if at_stake else 0
    if waiting:
        yield (
            f"topics {', '.join(sorted(at_stake))}: of {waiting} opt-outs that wait on this host's"
            " disk some may be of them; apply it once `flask spool status` says that none waits"
        )


def _lost_choices(connection: Connection, diff: CatalogueDiff) -> Iterator[str]:
    """Who chose a frequency that is removed, and what they receive from now on."""
    removed = removed_frequencies(diff)
    chosen = count_choices(connection) if removed else {}
    for each in removed:
        number = chosen.get((each.topic, each.key), 0)
        if number:
            instead = each.default or "the topic as often as it is sent"
            choices = f"{number} choice{'' if number == 1 else 's'}"
            yield f"topic {each.topic}: {choices} of {each.key}, now {instead}"


def _affected_destinations(connection: Connection, diff: CatalogueDiff) -> Iterator[str]:
    """The destinations that send a topic which is removed or retired."""
    ended = {
        change.key: "removed" if change.after is None else "retired"
        for change in diff.topics
        if change.before and not change.before.retired
        if change.after is None or change.after.retired
    }
    sent = list_topics_sent(connection) if ended else {}
    for name, topics in sent.items():
        for topic in sorted(topics & set(ended)):
            yield f"destination {name} sends topic {topic}, which is {ended[topic]}"


def _denied_senders(connection: Connection, diff: CatalogueDiff, new: Catalogue) -> Iterator[str]:
    """The API keys that may ask about a message type which everybody is denied from now on."""
    ended = {each.key: "is removed" for each in diff.message_types if each.after is None}
    retired = {each.key for each in diff.topics if each.kind is ChangeKind.RETIRED}
    ended |= {
        key: f"is of the retired topic {message.topic}"
        for key, message in new.message_types.items()
        if message.topic in retired
    }
    for key in list_sender_keys(connection) if ended else ():
        named = (
            sorted(ended) if key.message_types is None else sorted({*key.message_types} & {*ended})
        )
        used = (
            f"last used {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never used"
        )
        for name in named:
            yield (
                f"key {key.name} ({used}) may ask about message type {name}, which {ended[name]}:"
                " everybody is denied"
            )
