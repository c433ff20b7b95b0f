"""What a piece of news is about, as the destination's mapping has it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from preference_center.domain.deliverability import Policy
from preference_center.domain.events import ALL_MARKETING, Kind
from preference_center.domain.news import ALL_EMAIL, WHOLE, News, NewsKind
from workers.judging import Here, Judgement, Verdict, judge

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HERE = Here((), frozenset({"news"}), frozenset(), None)


@pytest.mark.parametrize(
    "thing, mapped, scope",
    [
        (None, {"11": "news"}, ALL_MARKETING),
        ("11", {"11": "news"}, "news"),
        ("12", {"11": "news"}, None),
        (WHOLE, {"11": "news"}, ALL_MARKETING),
        (ALL_EMAIL, {"11": "news"}, ALL_MARKETING),
        (WHOLE, {WHOLE: "news"}, "news"),
        (ALL_EMAIL, {ALL_EMAIL: "news"}, "news"),
    ],
)
def test_an_opt_out_covers_what_it_says_there(
    thing: str | None, mapped: dict[str, str], scope: str | None
) -> None:  # I10
    news = News(NewsKind.OPTED_OUT, "anna@example.com", thing, NOW, by_person=True)
    found = judge(news, HERE, mapped, Policy(), NOW)
    recorded = Judgement(Verdict.RECORD, Kind.OPTED_OUT, scope or "")
    assert found == (recorded if scope else Judgement(Verdict.UNMAPPED))
