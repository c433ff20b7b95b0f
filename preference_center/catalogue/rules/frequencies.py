"""Reading a topic's `frequencies`: how often it is offered, from most to least often."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from preference_center.catalogue.rules.reader import LocalizedText, TomlTable
from preference_center.core.errors import did_you_mean, quote_toml

_KEY = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_FREQUENCIES_EXAMPLE = "{ weekly = ..., monthly = ... }"
_FEWEST = 2


def parse_frequencies(
    topic: TomlTable, languages: Collection[str]
) -> tuple[Mapping[str, LocalizedText], str]:
    """The title of each frequency, in the order of the file, and the key of the default.

    Empty for a topic without. The default is the first where the file names none.
    """
    keys = list(topic.subtable_keys("frequencies"))
    table = topic.subtable("frequencies", keys)
    if table is None:
        if "default_frequency" in topic:
            remedy = f"add frequencies = {_FREQUENCIES_EXAMPLE}, or delete it"
            topic.add_error("default_frequency without frequencies", remedy, "default_frequency")
        return {}, ""
    for key in keys:
        if not _KEY.fullmatch(key):
            remedy = "use 1 to 32 of a-z 0-9 _ - and begin with a letter"
            table.add_error(f"{quote_toml(key)} is no good key", remedy, key)
    if len(keys) < _FEWEST:
        topic.add_error(
            "frequencies offers no choice", "name two or more, from most to least often",
            "frequencies",
        )  # fmt: skip
    titles = {key: table.get_localized_text(key, languages, required=True) for key in keys}
    return titles, _parse_default(topic, keys)


def _parse_default(topic: TomlTable, keys: Collection[str]) -> str:
    first = next(iter(keys), "")
    default = topic.get_text("default_frequency", first)
    if default is None or default in keys:
        return default or first
    remedy = did_you_mean(default, keys) or f"choose one of {', '.join(keys)}"
    what = f"default_frequency {quote_toml(default)} is not among the frequencies"
    topic.add_error(what, remedy, "default_frequency")
    return first


def describe_frequencies(frequencies: Mapping[str, LocalizedText]) -> dict[str, str]:
    """Their order, which has a meaning, and each title."""
    titles = {
        f"frequencies.{key}.{language}": f'"{text}"'
        for key, texts in frequencies.items()
        for language, text in texts.items()
    }
    return {"frequencies": ", ".join(frequencies), **titles} if frequencies else {}
