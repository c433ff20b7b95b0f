"""No date is guessed: a format is stated, and the question which one it is has examples."""

from __future__ import annotations

import json
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.errors import InvalidInput
from preference_center.lists.rules.rows import (
    DateFormat,
    DateQuestion,
    is_date_stated,
    parse_date_format,
    parse_timestamp,
)

ROME = ZoneInfo("Europe/Rome")


def asked(*texts: str) -> str:
    question = DateQuestion()
    question.add(enumerate(texts, start=2))
    return str(question.error())


@pytest.mark.parametrize(
    "text, pattern, moment",
    [
        ("03/04/2024", "%d/%m/%Y", datetime(2024, 4, 3, 21, 59, 59, tzinfo=UTC)),
        ("03/04/2024", "%m/%d/%Y", datetime(2024, 3, 4, 22, 59, 59, tzinfo=UTC)),
        ("3/4/2024", "%d/%m/%Y", datetime(2024, 4, 3, 21, 59, 59, tzinfo=UTC)),
        ("03.04.24 18:30", "%d.%m.%y %H:%M", datetime(2024, 4, 3, 16, 30, tzinfo=UTC)),
        ("4/3/2024 6:30 PM", "%m/%d/%Y %I:%M %p", datetime(2024, 4, 3, 16, 30, tzinfo=UTC)),
        ("2024-04-03T18:30Z", "%d/%m/%Y", datetime(2024, 4, 3, 18, 30, tzinfo=UTC)),
        ("31/31/2024", "%d/%m/%Y", None),
    ],
)
def test_a_stated_format_is_read_besides_those_of_every_file(
    text: str, pattern: str, moment: datetime | None
) -> None:
    formats = [parse_date_format(pattern)]
    assert parse_timestamp(text, ROME, end_of_day=True, formats=formats) == moment


@pytest.mark.parametrize(
    "pattern",
    ["", "DD/MM/YYYY", "%d/%m", "%H:%M", "%d/%m/%Y %I:%M", "%d/%m/%Y %M", "%Q", "%d/%m/%Y" * 20],
)
def test_a_format_that_leaves_a_doubt_is_refused_with_an_example(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="25/12/2031"):
        parse_date_format(pattern)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)),  # noqa: DTZ001
    st.sampled_from(["%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%d %b %Y, %H:%M:%S"]),
)
def test_what_is_written_in_a_format_is_read_as_the_same_time(
    moment: datetime, pattern: str
) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    formats = [parse_date_format(pattern)]
    written = moment.strftime(pattern)
    assert parse_timestamp(written, UTC, end_of_day=True, formats=formats) == moment


@pytest.mark.parametrize(
    "text, stated",
    [
        ("", False),
        ("never", False),
        ("N/A", False),
        ("0000-00-00 00:00:00", False),
        ("0001-01-01 00:00:00 +0000 UTC", False),
        ("03/04/2024", True),
        ("last week, 3rd", True),
        ("45231", True),
    ],
)
def test_a_cell_that_says_never_is_no_unreadable_date(text: str, *, stated: bool) -> None:
    assert is_date_stated(text) is stated


def test_an_ambiguous_date_is_shown_with_what_each_format_makes_of_it() -> None:
    message = asked("03/04/2024", "05/06/2024")
    assert "line 2: 03/04/2024" in message
    assert "%d/%m/%Y (3 April 2024) or %m/%d/%Y (4 March 2024)" in message
    assert "--date-format" in message
    assert "`date_formats`" in message


def test_only_a_format_that_reads_all_dates_of_the_file_is_proposed() -> None:
    message = asked("03/04/2024", "25/12/2023")
    assert "%d/%m/%Y (3 April 2024) reads all of them" in message
    assert "%m/%d/%Y" not in message


def test_a_file_of_two_formats_is_told_to_state_both() -> None:
    assert "repeat it for the others" in asked("25/12/2023", "12/31/2023")


def test_a_few_wrong_dates_do_not_hide_the_format_of_the_others() -> None:
    message = asked("31/02/2024 10:00", *["03/04/2024 18:30"] * 50, "25/12/2023 09:00", "lately")
    assert "%d/%m/%Y %H:%M (3 April 2024) reads 51 of the first 53" in message
    assert "%m/%d/%Y" not in message
    assert message.count("\n  line ") == 3


def test_a_cell_that_is_no_date_is_not_shown() -> None:  # I12
    message = asked("ada1@example.com", "+39 333 1234567", "03/04/2024 ada@example.com")
    assert "example.com" not in message
    assert "333" not in message
    assert "line 2" in message


def test_a_question_is_kept_between_two_steps() -> None:
    whole, first = DateQuestion(), DateQuestion()
    whole.add([(2, "03/04/2024"), (9, "25/12/2023")])
    first.add([(2, "03/04/2024")])
    kept = DateQuestion.from_json(json.loads(json.dumps(first.to_json())))
    kept.add([(9, "25/12/2023")])
    assert kept == whole


def test_the_hour_of_a_date_in_words_is_not_read_as_morning() -> None:
    # the parser of mail dates drops the PM
    assert parse_timestamp("Nov 26, 2024 3:04 PM", UTC, end_of_day=True) is None


def test_a_format_that_one_date_excludes_is_not_tried_on_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file may have millions of them, and to try every format takes milliseconds."""
    tried: list[str] = []
    parse = DateFormat.parse

    def counted(self: DateFormat, text: str, zone: tzinfo) -> datetime | None:
        tried.append(self.pattern)
        return parse(self, text, zone)

    monkeypatch.setattr(DateFormat, "parse", counted)
    question = DateQuestion()
    question.add([(2, "03/04/2024")])
    tried.clear()
    question.add([(3, "04/05/2024"), (4, "25/12/2024"), (5, "26/12/2024")])
    assert tried == [*["%d/%m/%Y", "%m/%d/%Y"] * 2, "%d/%m/%Y"]
    assert question.patterns == ["%d/%m/%Y"]
