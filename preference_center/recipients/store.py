"""This module counts why people unsubscribe.

The counts can't be traced to a person (docs/decisions/0014).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Date, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from preference_center.infra.context import db
from preference_center.infra.db.transactions import Connection


class SurveyReason(StrEnum):
    """The reasons that a person may choose after unsubscribing."""

    TOO_OFTEN = "too_often"
    NOT_RELEVANT = "not_relevant"
    NEVER_ASKED = "never_asked"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SurveyCount:
    """How often a reason was given in one month (UTC) for unsubscribing from one scope."""

    month: date
    scope: str
    reason: str
    count: int


def increment_count(
    connection: Connection, scope: str, reason: SurveyReason, now: datetime
) -> None:
    """Add one. Not safe to repeat: a lost connection may count twice."""
    connection.execute(
        """INSERT INTO unsubscribe_survey_count AS r (month, scope, reason, count)
        VALUES (%s, %s, %s, 1)
        ON CONFLICT (month, scope, reason) DO UPDATE SET count = r.count + 1""",
        (now.date().replace(day=1), scope, reason),
    )


def list_counts_between(connection: Connection, first: date, last: date) -> list[SurveyCount]:
    """The counts of the months that these days touch, added up; `month` is the first of them."""
    rows = connection.execute(
        """SELECT min(month), scope, reason, sum(count)::bigint FROM unsubscribe_survey_count
        WHERE month BETWEEN date_trunc('month', %s::date)::date AND %s
        GROUP BY scope, reason ORDER BY scope, sum(count) DESC, reason""",
        (first, last),
    )
    return [SurveyCount(*row) for row in rows]


class UnsubscribeSurveyCountRow(db.Model):  # type: ignore[misc,name-defined]
    """Why people unsubscribed: counts per month, without anything about whom."""

    __tablename__ = "unsubscribe_survey_count"
    month: Mapped[date] = mapped_column(Date, primary_key=True)
    scope: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
