"""Which of a tool's dates can be right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from preference_center.core.events import CLOCK_TOLERANCE
from preference_center.destinations.rules.classify import plausible_occurred_at
from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from preference_center.integrations.base.webhook import parse_iso_time
from preference_center.ledger.rules import EARLIEST_TIME

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
CAME = NOW - timedelta(hours=1)
MOMENT, HOUR = timedelta(microseconds=1), timedelta(hours=1)
RETRIED = timedelta(days=3)


def event(at: datetime | None, received_at: datetime | None = CAME) -> VendorEvent:
    return VendorEvent(
        VendorEventKind.OPTED_OUT, "anna@example.com", occurred_at=at, received_at=received_at
    )


@pytest.mark.parametrize(
    "at, believed",
    [
        pytest.param(None, False, id="none"),
        pytest.param(CAME, True, id="when it came"),
        pytest.param(CAME + MOMENT, False, id="after it came"),
        pytest.param(CAME - RETRIED, True, id="as long ago as vendors retry"),
        pytest.param(CAME - RETRIED - MOMENT, False, id="before that"),
        pytest.param(datetime.fromtimestamp(0, UTC), False, id="zero"),
        pytest.param(datetime.min.replace(tzinfo=UTC), False, id="year 1"),
        pytest.param(datetime.max.replace(tzinfo=UTC), False, id="year 9999"),
    ],
)
def test_a_webhook_reports_what_just_happened(at: datetime | None, *, believed: bool) -> None:
    # I5
    assert plausible_occurred_at(event(at), NOW) == (at if believed else None)


@pytest.mark.parametrize(
    "at, believed",
    [
        pytest.param(NOW, True, id="now"),
        pytest.param(NOW + MOMENT, False, id="in the future"),
        pytest.param(CAME - 1000 * RETRIED, True, id="years ago"),
        pytest.param(EARLIEST_TIME, True, id="the floor"),
        pytest.param(EARLIEST_TIME - MOMENT, False, id="below it"),
    ],
)
def test_a_list_may_report_any_act_since_there_are_such_tools(
    at: datetime, *, believed: bool
) -> None:  # I5
    assert plausible_occurred_at(event(at, None), NOW) == (at if believed else None)


@pytest.mark.parametrize(
    "opted_in_at, believed",
    [
        pytest.param(None, True, id="never"),
        pytest.param(CAME - 3 * HOUR, True, id="before the act"),
        pytest.param(CAME - 2 * HOUR + CLOCK_TOLERANCE, True, id="as near as clocks are trusted"),
        pytest.param(CAME - 2 * HOUR + CLOCK_TOLERANCE + MOMENT, False, id="after the act"),
        pytest.param(CAME, False, id="when the report came"),
        pytest.param(CAME + MOMENT, True, id="after the report came"),
    ],
)
def test_a_webhook_dates_no_act_before_an_opt_in_that_we_held_already(
    opted_in_at: datetime | None, *, believed: bool
) -> None:  # I5
    at = CAME - 2 * HOUR
    assert plausible_occurred_at(event(at), NOW, opted_in_at) == (at if believed else None)
    assert plausible_occurred_at(event(at, None), NOW, opted_in_at) == at


def test_a_time_without_a_zone_is_none_unless_the_vendor_documents_which() -> None:  # I5
    assert parse_iso_time("2026-11-26T12:00:00") is None
    assert parse_iso_time("2026-11-26 12:00:00", zone=UTC) == NOW
    assert parse_iso_time("2026-11-26T13:00:00+01:00", zone=UTC) == NOW
    assert parse_iso_time("2026-11-26T12:00:00Z") == NOW
