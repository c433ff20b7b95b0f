"""Which decisions two people of the staff take, and who may take one that was proposed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from preference_center.rights.rules.decisions import (
    Decision,
    OwnDecision,
    Proposal,
    SecondPersonRequired,
    check_ends_hold,
    check_second_person,
    needs_second_person,
)
from preference_center.rights.rules.requests import RefusalGround, RequestKind, RequestOutcome

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
ADA, GRACE = "console:ada", "console:grace"
FULFILLED, PARTLY = RequestOutcome.FULFILLED, RequestOutcome.PARTLY
CLAIMS, EXCESSIVE = RefusalGround.CLAIMS, RefusalGround.EXCESSIVE
BY_ADA = Proposal(Decision.REFUSE, ADA, AT, CLAIMS)
ERASURE_BY_ADA = Proposal(Decision.FULFIL, ADA, AT, outcome=FULFILLED)


def test_what_nobody_can_undo_takes_two_people() -> None:
    assert all(needs_second_person(kind, Decision.REFUSE) for kind in RequestKind)
    erasing = {kind for kind in RequestKind if needs_second_person(kind, Decision.FULFIL)}
    assert erasing == {RequestKind.ERASE, RequestKind.MINOR}


def test_another_person_decides_what_was_proposed() -> None:
    check_second_person(RequestKind.ERASE, Decision.REFUSE, GRACE, BY_ADA, CLAIMS)
    check_second_person(RequestKind.ERASE, Decision.FULFIL, GRACE, ERASURE_BY_ADA, FULFILLED)


@pytest.mark.parametrize(
    "decision, proposal, how",
    [
        (Decision.REFUSE, None, CLAIMS),
        (Decision.REFUSE, BY_ADA, EXCESSIVE),
        (Decision.REFUSE, ERASURE_BY_ADA, CLAIMS),
        (Decision.FULFIL, BY_ADA, FULFILLED),
        (Decision.FULFIL, ERASURE_BY_ADA, PARTLY),
        (Decision.FULFIL, None, FULFILLED),
    ],
)
def test_nothing_else_is_decided(
    decision: Decision, proposal: Proposal | None, how: RefusalGround | RequestOutcome
) -> None:
    with pytest.raises(SecondPersonRequired):
        check_second_person(RequestKind.ERASE, decision, GRACE, proposal, how)


def test_nobody_decides_on_their_own_proposal_or_ends_their_own_hold() -> None:
    with pytest.raises(OwnDecision):
        check_second_person(RequestKind.ERASE, Decision.REFUSE, ADA, BY_ADA, CLAIMS)
    with pytest.raises(OwnDecision):
        check_ends_hold(ADA, ADA)
    check_ends_hold(ADA, GRACE)


@pytest.mark.parametrize("actor", ["cli:ada", "key:shop", "service", "person"])
def test_who_has_not_signed_in_decides_by_the_companys_own_procedure(actor: str) -> None:
    check_second_person(RequestKind.ERASE, Decision.REFUSE, actor, None, CLAIMS)
    check_ends_hold(actor, actor)


def test_what_can_be_undone_one_person_does() -> None:
    check_second_person(RequestKind.RESTRICT, Decision.FULFIL, ADA, None)
