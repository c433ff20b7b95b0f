"""By when a request is to be confirmed and answered, under each law.

Sources: GDPR art. 12(3) and EDPB Guidelines 01/2022, 157-159 (the clock stops while identity
is open, if that was asked without delay); UK GDPR art. 12A and Data Protection Act 2018 s. 164A
(complaints), both by the Data (Use and Access) Act 2025; 11 CCR 7021, 7026(f) and 7027(g) for the
CCPA; LGPD art. 19.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import assert_never

from preference_center.catalogue.rules.privacy import Law
from preference_center.rights.rules.model import RequestKind
from preference_center.rights.rules.periods import Period


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """What one law says about one kind of request; all periods begin when it is received."""

    answer: Period
    extended: Period | None = None
    """The whole period if it is extended; None if it can't be."""
    confirm: Period | None = None
    """Within what its receipt is to be confirmed."""
    stops_for_identity: bool = False
    """Whether the clock stops while the person is to prove who they are."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The dates of one request (UTC)."""

    due_at: datetime
    extendable_to: datetime | None
    confirm_by: datetime | None
    stops_for_identity: bool


_AT_ONCE = AnswerRule(Period(hours=72))
"""An objection to marketing counts at once; the tools have the window of any opt-out (I3).

The company reviews a report of a minor in the same time. No law allows more for either.
"""
_GDPR = AnswerRule(Period(months=1), Period(months=3), stops_for_identity=True)
_UK_COMPLAINT = AnswerRule(
    Period(months=1), Period(months=3), confirm=Period(days=30), stops_for_identity=True
)
_CCPA = AnswerRule(Period(days=45), Period(days=90), confirm=Period(business_days=10))
_CCPA_LIMIT = AnswerRule(Period(business_days=15))
"""To limit the use, and not to sell or share."""
_LGPD = AnswerRule(Period(days=15))
_LGPD_ACCESS = AnswerRule(Period(days=15), confirm=Period())


def answer_rule(law: Law, kind: RequestKind) -> AnswerRule:
    """The rule of `law` for this kind of request."""
    if kind in {RequestKind.OBJECT, RequestKind.MINOR}:
        return _AT_ONCE
    if kind is RequestKind.DONT_SELL_OR_SHARE:  # the other laws have no date of their own for it
        return _CCPA_LIMIT
    match law:
        case Law.GDPR:
            return _GDPR
        case Law.UK_GDPR:
            return _UK_COMPLAINT if kind is RequestKind.COMPLAINT else _GDPR
        case Law.CCPA:
            limits = kind in {RequestKind.RESTRICT, RequestKind.UNRESTRICT}
            return _CCPA_LIMIT if limits else _CCPA
        case Law.LGPD:
            return _LGPD_ACCESS if kind is RequestKind.ACCESS else _LGPD
        case _:
            assert_never(law)


def compute_deadlines(
    kind: RequestKind,
    laws: Collection[Law],
    received_at: datetime,
    zone: tzinfo,
    *,
    stopped: timedelta = timedelta(0),
) -> Deadlines:
    """The dates of a request that was received then, and whose clock was stopped for so long.

    Of several laws (where the person lives is not known) the earliest of each date counts;
    the request can be extended, and the clock stops, only if all of them allow it. Raises
    ValueError without a law.
    """
    if not laws:
        raise ValueError("name at least one law")
    rules = [answer_rule(law, kind) for law in laws]

    def earliest(pick: Callable[[AnswerRule], Period | None]) -> datetime | None:
        ends = [period.after(received_at, zone) for rule in rules if (period := pick(rule))]
        return min(ends, default=None)

    due_at = earliest(lambda rule: rule.answer)
    assert due_at  # every rule has an answer
    extended = all(rule.extended for rule in rules) and earliest(lambda rule: rule.extended)
    return Deadlines(
        due_at=due_at + stopped,
        extendable_to=extended + stopped if extended else None,
        confirm_by=earliest(lambda rule: rule.confirm),
        stops_for_identity=all(rule.stops_for_identity for rule in rules),
    )


def complaint_authority_url(law: Law) -> str:
    """The page of the authority, or of the list of authorities, that hears complaints."""
    match law:
        case Law.GDPR:
            return "https://www.edpb.europa.eu/about-edpb/about-edpb/members_en"
        case Law.UK_GDPR:
            return "https://ico.org.uk/make-a-complaint/"
        case Law.CCPA:
            return "https://cppa.ca.gov/webapplications/complaint"
        case Law.LGPD:
            return "https://www.gov.br/anpd/pt-br"
        case _:
            assert_never(law)
