"""Reading `[deliverability]`: which bounces suppress, and what a complaint stops."""

from __future__ import annotations

import re
from datetime import timedelta

from preference_center.catalogue.rules.reader import TomlTable
from preference_center.core.bounces import (
    AT_ONCE,
    DEFAULT_THRESHOLDS,
    NEVER,
    BounceThreshold,
    ComplaintStops,
    DeliverabilityPolicy,
)
from preference_center.core.errors import did_you_mean, quote_toml

_FIELDS = ("complaints_stop", "temporary_days", "counting_window_days", "codes")
_THRESHOLD_FIELDS = ("events", "days", "permanent")
_NAMED_THRESHOLDS = {"never": NEVER, "at_once": AT_ONCE}
_CODE = re.compile(r"[45]\.(?:\d{1,3}\.(?:\d{1,3}|x)|x\.x)")
_MAX_DAYS = 366
_MAX_EVENTS = 100


def parse_deliverability(file: TomlTable) -> DeliverabilityPolicy:
    """The policy; RULES F10 where the file has no value."""
    table = file.subtable("deliverability", _FIELDS)
    if table is None:
        return DeliverabilityPolicy()
    default = DeliverabilityPolicy()
    temporary = table.get_int("temporary_days", 1, _MAX_DAYS, default.temporary_duration.days)
    counted = table.get_int("counting_window_days", 1, _MAX_DAYS, default.counting_window.days)
    counted_for = default.counting_window if counted is None else timedelta(days=counted)
    return DeliverabilityPolicy(
        thresholds={**DEFAULT_THRESHOLDS, **_parse_codes(table, counted_for.days)},
        temporary_duration=default.temporary_duration
        if temporary is None
        else timedelta(days=temporary),
        counting_window=counted_for,
        complaints_stop=table.get_choice("complaints_stop", ComplaintStops)
        or default.complaints_stop,
    )


def _parse_codes(table: TomlTable, counting_window_days: int) -> dict[str, BounceThreshold]:
    if table.get_value("codes", dict, '{ "5.2.2" = "never" }') is None:
        return {}
    codes = table.subtable_keys("codes")
    below = table.subtable("codes", codes)
    assert below is not None  # it is there, and a table
    found = {}
    for code in codes:
        if _CODE.fullmatch(code):
            found[code] = _parse_threshold(below, code, counting_window_days)
        else:
            remedy = 'write an enhanced status code in quotes, "5.2.2", or all of a kind, "5.3.x"'
            below.add_error(f"{quote_toml(code)} is no code of a bounce", remedy, code)
    return found


def _parse_threshold(codes: TomlTable, code: str, counting_window_days: int) -> BounceThreshold:
    if isinstance(codes.get_raw(code), dict):
        return _parse_counted_threshold(codes, code, counting_window_days)
    example = '"never", "at_once" or { events = 3, days = 2 }'
    word = codes.get_raw(code)
    if isinstance(word, str) and word in _NAMED_THRESHOLDS:
        return _NAMED_THRESHOLDS[word]
    near = did_you_mean(word, _NAMED_THRESHOLDS) if isinstance(word, str) else None
    value = quote_toml(word) if isinstance(word, str) else "that"
    codes.add_error(f"{quote_toml(code)} can't be {value}", near or f"write {example}", code)
    return NEVER


def _parse_counted_threshold(
    codes: TomlTable, code: str, counting_window_days: int
) -> BounceThreshold:
    table = codes.subtable(code, _THRESHOLD_FIELDS)
    assert table is not None  # it is a table
    events = table.get_int("events", 1, _MAX_EVENTS, 3)
    days = table.get_int("days", 1, _MAX_EVENTS, 2)
    if "events" not in table:
        table.add_error(f"{quote_toml(code)} has no events", "add events = 3")
    elif events is not None and days is not None and days > events:
        what = f"{events} events can't come on {days} days"
        table.add_error(what, "let days be at most events", "days")
    elif days is not None and days > counting_window_days:
        what = f"{days} days are longer than a bounce counts"
        table.add_error(what, "lower days, or raise counting_window_days", "days")
    return BounceThreshold(events or 1, days or 1, temporary=not table.get_bool("permanent"))
