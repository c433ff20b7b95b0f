"""The scope map: what each group or list of the other tool means here.

It is required and never guessed: a group called "News" may be one topic, or everything that the
company sends.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from preference_center.catalogue import Catalogue
from preference_center.core.errors import InvalidInput, MissingScopes, UnknownTopic, quote_toml
from preference_center.core.events import ALL_MARKETING, SHARING
from preference_center.integrations.base.presets import RowMeaning

LEAVE_OUT = "leave_out"
"""In place of a scope: rows of this group are not imported."""

_MAX_SHOWN_GROUPS = 50


@dataclass(frozen=True, slots=True)
class ScopeMap:
    """Group -> topic, `all_marketing`, `sharing` or `leave_out`.

    Ignores case and surrounding spaces.
    """

    scopes: Mapping[str, str]

    def scope_of(self, group: str) -> str | None:
        """What the group means here; None if the map does not contain it."""
        return self.scopes.get(_normalize_group(group))

    def unused_groups(self, groups: Iterable[str]) -> list[str]:
        """Groups that the map contains and the file does not."""
        found = {_normalize_group(group) for group in groups}
        return sorted(group for group in self.scopes if group not in found)

    def validate(self, catalogue: Catalogue) -> None:
        """Raises UnknownTopic unless each scope is one of the catalogue."""
        for group, scope in self.scopes.items():
            if scope not in {ALL_MARKETING, SHARING, LEAVE_OUT}:
                try:
                    catalogue.topic(scope)
                except UnknownTopic as error:
                    raise UnknownTopic(
                        f"{quote_toml(group)} = {quote_toml(scope)}: {error}"
                    ) from None


def build_scope_map(pairs: Iterable[tuple[str, str]]) -> ScopeMap:
    """The map of these groups and scopes. Raises InvalidInput if a group has two scopes."""
    entries: dict[str, str] = {}
    for group, scope in pairs:
        if entries.setdefault(_normalize_group(group), scope.strip()) != scope.strip():
            raise InvalidInput(f"the group {quote_toml(group)} has two scopes: delete one")
    return ScopeMap(entries)


def parse_scope(text: str) -> tuple[str, str]:
    """`Group 123=newsletter.product` -> the group and the scope. Raises InvalidInput."""
    group, sign, scope = text.rpartition("=")
    if not sign or not group.strip() or not scope.strip():
        raise InvalidInput(f"{quote_toml(text)}: write GROUP=SCOPE, e.g. {_example('Group 123')}")
    return group, scope


def parse_scope_file(text: str) -> list[tuple[str, str]]:
    """The pairs of a scope map in TOML: `"Group 123" = "newsletter.product"` under `[scopes]`.

    Raises InvalidInput with what to fix.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"the scope map is not TOML: {error}") from None
    table = found.get("scopes")
    if set(found) != {"scopes"} or not isinstance(table, dict):
        raise InvalidInput(
            'the scope map has one table [scopes], with lines such as "Group 123" = "all_marketing"'
        )
    for group, scope in table.items():
        if not isinstance(scope, str):
            raise InvalidInput(
                f"the scope of {quote_toml(group)} is not text; if the group has dots, put it "
                "in quotes"
            )
    return list(table.items())


def missing_scopes_error(
    groups: Mapping[tuple[RowMeaning, str], int], topics: Collection[str]
) -> MissingScopes:
    """The error that names the groups without a scope, with an example to copy."""
    shown = sorted(groups.items(), key=lambda item: -item[1])[:_MAX_SHOWN_GROUPS]
    lines = ["These groups of the file have no scope yet, and scopes are not guessed:"]
    lines += [f"  {count:>9,}  {meaning}  {quote_toml(group)}" for (meaning, group), count in shown]
    if len(groups) > len(shown):
        lines.append(f"  and {len(groups) - len(shown)} more")
    lines.append("Set the scope of each: a topic, all_marketing, sharing, or leave_out.")
    lines.append(f"Topics: {', '.join(topics)}" if topics else "The catalogue has no topic yet.")
    return MissingScopes("\n".join(lines), _suggested_scope_map([key for key, _ in shown], topics))


def _suggested_scope_map(groups: Iterable[tuple[RowMeaning, str]], topics: Collection[str]) -> str:
    """A suggested scope map of these groups."""
    topic = next(iter(topics), "a.topic")
    meant: dict[str, str] = {}
    for meaning, group in groups:
        scope = topic if meaning is RowMeaning.SUBSCRIPTION else ALL_MARKETING
        named = group if group in topics else scope  # as in an export of our own
        meant[group] = topic if meant.get(group) == topic else named
    rows = [
        f"{json.dumps(group, ensure_ascii=False)} = {quote_toml(s)}" for group, s in meant.items()
    ]
    return "\n".join(["[scopes]", *rows])


def _example(group: str) -> str:
    return f'"{group}=all_marketing"'


def _normalize_group(group: str) -> str:
    return group.strip().casefold()
