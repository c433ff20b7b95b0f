"""A diff states what a new version of the catalogue changes, and which changes are not allowed.

`diff_texts` compares the texts of two catalogues line by line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from preference_center.catalogue.rules.model import (
    Brand,
    Catalogue,
    MessageClass,
    MessageType,
    Topic,
    TopicDefault,
    TopicGroup,
)
from preference_center.catalogue.rules.reader import describe_frequencies
from preference_center.catalogue.rules.sites import Site
from preference_center.catalogue.rules.wording import Wording
from preference_center.core import bounces

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CatalogueItem: TypeAlias = Brand | TopicGroup | Topic | MessageType | Site


T = TypeVar("T", bound=CatalogueItem)


class ChangeKind(StrEnum):
    """How an item changed; its line begins with this word."""

    ADDED = "added"
    CHANGED = "changed"
    RETIRED = "retired"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class CatalogueChange(Generic[T]):
    """One item that is new (`before` is None), removed (`after` is None) or different."""

    key: str
    before: T | None
    after: T | None

    @property
    def kind(self) -> ChangeKind:
        """Added, changed, retired or removed."""
        if self.before is None:
            return ChangeKind.ADDED
        if self.after is None:
            return ChangeKind.REMOVED
        is_retired = isinstance(self.after, Topic) and self.after.retired
        was_retired = isinstance(self.before, Topic) and self.before.retired
        return ChangeKind.RETIRED if is_retired and not was_retired else ChangeKind.CHANGED


@dataclass(frozen=True, slots=True)
class CatalogueDiff:
    """The changes per kind, in the order of the files; false if there are none."""

    settings: tuple[str, ...]
    """Changes of the languages and the policies, as lines."""
    groups: tuple[CatalogueChange[TopicGroup], ...]
    brands: tuple[CatalogueChange[Brand], ...]
    topics: tuple[CatalogueChange[Topic], ...]
    message_types: tuple[CatalogueChange[MessageType], ...]
    sites: tuple[CatalogueChange[Site], ...]

    def __bool__(self) -> bool:
        changes = (self.groups, self.brands, self.topics, self.message_types, self.sites)
        return any((self.settings, *changes))

    def format_lines(self) -> list[str]:
        """For people: how each item changed, and indented its changed fields."""
        lines = [f"changed {setting}" for setting in self.settings]
        lines += _format_changes("group", self.groups)
        lines += _format_changes("brand", self.brands)
        lines += _format_changes("topic", self.topics)
        lines += _format_changes("message type", self.message_types)
        return lines + _format_changes("site", self.sites)


def diff_catalogues(old: Catalogue | None, new: Catalogue) -> CatalogueDiff:
    """What applying `new` over `old` (None: the first) changes."""
    if old is None:
        old = Catalogue(languages=(), default_language="")
    return CatalogueDiff(
        settings=tuple(
            f"{name}: {before or 'none'} -> {after}"
            for name, before, after in (
                ("languages", ", ".join(old.languages), ", ".join(new.languages)),
                ("default_language", old.default_language, new.default_language),
                (
                    "policy.unproven_imports",
                    old.policy.unproven_imports,
                    new.policy.unproven_imports,
                ),
                *_diff_deliverability(old.deliverability, new.deliverability),
                *_diff_privacy(old, new),
            )
            if before != after
        ),
        groups=_diff_mappings(old.groups, new.groups),
        brands=_diff_mappings(old.brands, new.brands),
        topics=_diff_mappings(old.topics, new.topics),
        message_types=_diff_mappings(old.message_types, new.message_types),
        sites=_diff_mappings(old.sites, new.sites),
    )


def _diff_deliverability(
    old: bounces.DeliverabilityPolicy, new: bounces.DeliverabilityPolicy
) -> Iterator[tuple[str, str, str]]:
    """Each setting, before and after; of codes those that either version has."""
    name = "deliverability"
    yield f"{name}.complaints_stop", old.complaints_stop, new.complaints_stop
    yield (
        f"{name}.temporary_days",
        str(old.temporary_duration.days),
        str(new.temporary_duration.days),
    )
    yield (
        f"{name}.counting_window_days",
        str(old.counting_window.days),
        str(new.counting_window.days),
    )
    for code in dict.fromkeys([*old.thresholds, *new.thresholds]):
        yield (
            f"{name}.codes.{code}",
            old.threshold_for(code).describe(),
            new.threshold_for(code).describe(),
        )


def _diff_privacy(old: Catalogue, new: Catalogue) -> Iterator[tuple[str, str, str]]:
    """Each value about the controller, rights, retention and recipients, before and after."""
    before, after = _privacy_settings(old), _privacy_settings(new)
    for name in dict.fromkeys([*before, *after]):
        yield name, before.get(name, ""), after.get(name, "none")


def _privacy_settings(catalogue: Catalogue) -> dict[str, str]:
    tables: dict[str, DataclassInstance] = {"rights": catalogue.rights}
    if catalogue.controller:
        tables["controller"] = catalogue.controller
    tables |= {f"retention.{kind}": rule for kind, rule in catalogue.retention.items()}
    tables |= {f"destinations.{name}": each for name, each in catalogue.recipients.items()}
    tables |= {f"policies.{each.reference}": each for each in catalogue.policy_versions}
    return {
        f"{name}.{key}": value
        for name, table in tables.items()
        for key, value in _flatten_fields(table).items()
    }


def rejection_reasons(diff: CatalogueDiff, suppressed_topics: Collection[str]) -> list[str]:
    """Why these changes may not be applied, each with its remedy; empty if they may.

    `suppressed_topics` are the topics that have suppressions. An edit of the file must never
    lift an opt-out (I5), nor turn marketing into service mail for keys that may already ask
    for it (I4).
    """
    found = [line for topic in diff.topics for line in _topic_rejections(topic, suppressed_topics)]
    for message_type in diff.message_types:
        found += _message_type_rejections(message_type, suppressed_topics)
    return found


def topics_to_check(diff: CatalogueDiff) -> frozenset[str]:
    """The topics of which `rejection_reasons` must know whether they have suppressions."""
    topics = {each.key for each in diff.topics if any(_topic_rejections(each, {each.key}))}
    moved = {
        each.before.topic
        for each in diff.message_types
        if each.before and each.before.topic
        if any(_message_type_rejections(each, {each.before.topic}))
    }
    return frozenset(topics | moved)


def _topic_rejections(
    change: CatalogueChange[Topic], suppressed_topics: Collection[str]
) -> Iterator[str]:
    before, after = change.before, change.after
    if before is None or change.key not in suppressed_topics:
        return
    if after is None:
        yield (
            f"topic {change.key} still has opt-outs and can't be deleted; "
            "retire it: put it back with retired = true"
        )
        return
    instead = "declare a new topic, and retire this one with retired = true"
    if after.channel is not before.channel:
        yield (
            f"topic {change.key} has opt-outs on {before.channel} and can't move to "
            f"{after.channel}, where they mean nothing; {instead}"
        )
    if after.brand != before.brand:
        yield (
            f"topic {change.key} has opt-outs and can't move from brand {before.brand} to "
            f"{after.brand}: people opted in to and out of the first; {instead}"
        )


def _message_type_rejections(
    change: CatalogueChange[MessageType], suppressed_topics: Collection[str]
) -> Iterator[str]:
    before, after = change.before, change.after
    if before is None or after is None or before.message_class is not MessageClass.MARKETING:
        return
    instead = "declare a new message type, grant it to the keys that need it, and delete this one"
    if after.message_class is MessageClass.SERVICE:
        yield (
            f"message type {change.key} is marketing and can't become service: keys that may "
            f"ask for it would get past every opt-out; {instead}"
        )
    elif after.topic != before.topic and before.topic in suppressed_topics:
        yield (
            f"message type {change.key} can't move from topic {before.topic} to {after.topic}: "
            f"people who opted out of the first would receive it again; {instead}"
        )


def _diff_mappings(old: Mapping[str, T], new: Mapping[str, T]) -> tuple[CatalogueChange[T], ...]:
    return tuple(
        CatalogueChange(key, old.get(key), new.get(key))
        for key in dict.fromkeys([*new, *old])
        if old.get(key) != new.get(key)
    )


def _format_changes(kind: str, changes: Collection[CatalogueChange[T]]) -> list[str]:
    lines: list[str] = []
    for change in changes:
        lines.append(f"{change.kind} {kind} {change.key}")
        if change.before is not None and change.after is not None:
            lines += [f"    {line}" for line in _format_details(change.before, change.after)]
    return lines


def _format_details(before: CatalogueItem, after: CatalogueItem) -> Iterator[str]:
    old, new = _flatten_fields(before), _flatten_fields(after)
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield f"{name}: {old.get(name, 'none')} -> {new.get(name, 'none')}"
            yield from _CONSEQUENCES.get((name, new.get(name)), ())
            if name == "version":
                yield "everyone is asked about cookies again on the next page of the site"


_CONSEQUENCES: Mapping[tuple[str, str | None], tuple[str, ...]] = {
    ("retired", "true"): ("no longer offered nor sent; its opt-outs stay",),
    ("default", TopicDefault.OPT_OUT): ("people who never asked for it receive it from now on",),
}
"""What the company should know before it makes these changes."""


def _flatten_fields(catalogue_item: DataclassInstance) -> dict[str, str]:
    """The fields by the name they have in the file; a text's languages one by one."""
    flat: dict[str, str] = {}
    for item in fields(catalogue_item):
        if not item.compare:  # it follows from another part of the file
            continue
        value = getattr(catalogue_item, item.name)
        name = "class" if item.name == "message_class" else item.name
        if isinstance(value, Wording):
            flat |= value.describe()
        elif isinstance(catalogue_item, Site) and item.name == "categories":
            flat |= catalogue_item.describe_categories()
        elif item.name == "frequencies":
            flat |= describe_frequencies(value)
        elif isinstance(value, Mapping):
            flat |= {f"{name}.{language}": f'"{text}"' for language, text in value.items()}
        elif isinstance(value, tuple):
            flat |= {name: ", ".join(map(str, value))} if value else {}
        elif value is not None:
            flat[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return flat


@dataclass(frozen=True, slots=True)
class RemovedFrequency:
    """A frequency that a topic offers no more, and what those who chose it receive from now on."""

    topic: str
    key: str
    default: str


def removed_frequencies(diff: CatalogueDiff) -> list[RemovedFrequency]:
    """The frequencies of topics that stay and offer them no more."""
    return [
        RemovedFrequency(change.key, key, change.after.default_frequency)
        for change in diff.topics
        if change.before and change.after
        for key in change.before.frequencies
        if key not in change.after.frequencies
    ]


CONTEXT_LINES = 3
"""Unchanged lines shown around each change."""


class LineChange(StrEnum):
    """What happened to a line."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line, with its number in the old and in the new text, from 1."""

    change: LineChange
    text: str
    old_number: int | None
    new_number: int | None


def diff_texts(old: str, new: str) -> list[list[DiffLine]]:
    """The changes as runs of lines, each with the unchanged lines around it; empty if none."""
    before, after = old.splitlines(), new.splitlines()
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    return [
        [line for operation in group for line in _lines_of(*operation, before=before, after=after)]
        for group in matcher.get_grouped_opcodes(CONTEXT_LINES)
    ]


def _lines_of(
    tag: str,
    old_start: int,
    old_end: int,
    new_start: int,
    new_end: int,
    *,
    before: Sequence[str],
    after: Sequence[str],
) -> list[DiffLine]:
    if tag == "equal":
        return [
            DiffLine(LineChange.SAME, before[old_start + i], old_start + i + 1, new_start + i + 1)
            for i in range(old_end - old_start)
        ]
    removed = [
        DiffLine(LineChange.REMOVED, before[i], i + 1, None) for i in range(old_start, old_end)
    ]
    added = [DiffLine(LineChange.ADDED, after[i], None, i + 1) for i in range(new_start, new_end)]
    return removed + added
