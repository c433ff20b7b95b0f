"""`[deliverability]` of the catalogue."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.catalogue import diff_catalogues, parse_catalogue
from preference_center.core.bounces import (
    AT_ONCE,
    DEFAULT_THRESHOLDS,
    NEVER,
    BounceThreshold,
    ComplaintStops,
    DeliverabilityPolicy,
)
from preference_center.core.errors import CatalogueError
from tests.catalogue.catalogues import SMALL

STATED = """
[deliverability]
complaints_stop = "topic"
temporary_days = 14
counting_window_days = 60

[deliverability.codes]
"5.2.2" = { events = 5, days = 3 }
"5.1.2" = "at_once"
"5.2.1" = { events = 3, permanent = true }
"5.1.3" = "never"
"5.3.x" = { events = 9 }
"""


def test_what_is_silent_about_it_means_the_rules_of_the_field() -> None:  # F10; old versions too
    assert parse_catalogue(SMALL).deliverability == DeliverabilityPolicy()
    assert parse_catalogue(SMALL + "\n[deliverability]\n").deliverability == DeliverabilityPolicy()
    assert DeliverabilityPolicy().thresholds == DEFAULT_THRESHOLDS


def test_what_is_stated_goes_before_the_default() -> None:
    policy = parse_catalogue(SMALL + STATED).deliverability
    assert policy.complaints_stop is ComplaintStops.TOPIC
    assert (policy.temporary_duration, policy.counting_window) == (
        timedelta(days=14),
        timedelta(days=60),
    )
    assert policy.threshold_for("5.2.2") == BounceThreshold(5, days=3)
    assert policy.threshold_for("5.1.2") == AT_ONCE
    assert policy.threshold_for("5.2.1") == BounceThreshold(3, temporary=False)
    assert policy.threshold_for("5.1.3") == NEVER
    assert policy.threshold_for("5.3.9") == BounceThreshold(9)
    assert policy.threshold_for("5.1.1") == AT_ONCE


def test_a_change_of_it_is_reported_in_words() -> None:
    assert diff_catalogues(
        parse_catalogue(SMALL), parse_catalogue(SMALL + STATED)
    ).format_lines() == [
        "changed deliverability.complaints_stop: all_marketing -> topic",
        "changed deliverability.temporary_days: 30 -> 14",
        "changed deliverability.counting_window_days: 90 -> 60",
        "changed deliverability.codes.5.1.2: 2 events on 2 days, for now -> at once",
        "changed deliverability.codes.5.1.3: at once -> never",
        "changed deliverability.codes.5.2.1: 2 events on 2 days, for now -> 3 events, for good",
        "changed deliverability.codes.5.2.2: never -> 5 events on 3 days, for now",
        "changed deliverability.codes.5.3.x: never -> 9 events, for now",
    ]


def test_every_fault_is_reported_at_once_with_line_and_remedy() -> None:
    text = """[deliverability]
complaints_stop = "topics"
temporary_days = 0
counting_window_days = true
[deliverability.codes]
"5.2.2" = { events = 3, days = 4 }
"5.2.3" = "nver"
"5.1" = "never"
5.1.1 = "never"
"5.3.x" = { evnts = 2 }
"4.x.x" = 3
"5.2.1" = { events = 95, days = 91 }
"""
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(text)
    problems = "\n".join(caught.value.problems)
    for problem in (
        'line 2: complaints_stop can\'t be "topics"; did you mean "topic"?',
        "line 3: temporary_days can't be 0; write a number from 1 to 366",
        "line 4: counting_window_days is true or false, not a number; write counting_",
        "line 6: 3 events can't come on 4 days; let days be at most events",
        'line 7: "5.2.3" can\'t be "nver"; did you mean "never"?',
        'line 8: "5.1" is no code of a bounce; write an enhanced status code in quotes',
        'line 9: "5" is no code of a bounce;',
        'line 10: [deliverability.codes."5.3.x"] has an unknown key "evnts"; did you mean',
        'line 10: "5.3.x" has no events; add events = 3',
        'line 11: "4.x.x" can\'t be that; write "never", "at_once" or {',
        "line 12: 91 days are longer than a bounce counts; lower days, or raise counting_",
    ):
        assert problem in problems


@pytest.mark.parametrize(
    "text", [f"deliverability = 3\n{SMALL}", f"{SMALL}[deliverability]\ncodes = 3\n"]
)
def test_what_is_no_table_is_a_fault(text: str) -> None:
    with pytest.raises(CatalogueError, match="not a table"):
        parse_catalogue(text)
