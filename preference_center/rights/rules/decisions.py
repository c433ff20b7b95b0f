"""Say which decisions take two people of the staff.

One proposes, another decides. It is so for what a person can't get undone: a refusal, and an
erasure that staff decide on; and a hold is ended by somebody else than who placed it. The rule
holds in the console, which knows who each person is. A command trusts the name that it is given,
and a key of the API is a system of the company's, so neither shows that there were two people; they
are for a company's own procedure (decision 100).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from preference_center.core.errors import InvalidInput
from preference_center.core.staff import actor_kind
from preference_center.rights.rules.requests import RefusalGround, RequestKind, RequestOutcome

CONSOLE = "console"
"""The kind of actor of somebody who is signed in to the console."""


class Decision(StrEnum):
    """How a request ends by the staff's decision."""

    REFUSE = "refuse"
    FULFIL = "fulfil"


class SecondPersonRequired(InvalidInput):
    """Somebody else has to propose this decision first, or to take it."""


class OwnDecision(SecondPersonRequired):
    """They proposed this decision, or placed this hold, themselves."""


class ProposalChanged(InvalidInput):
    """What is proposed now is not what was shown to who decides."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A decision that somebody proposed, and that nobody has declined or carried out yet.

    `ground` is that of a refusal, `outcome` that of a fulfilment. `at` is in UTC.
    """

    decision: Decision
    by: str
    at: datetime
    ground: RefusalGround | None = None
    outcome: RequestOutcome | None = None

    @property
    def code(self) -> str:
        """Tells it from the others of its request, so that a form can say which one it showed."""
        return " ".join((self.decision, self.how or "", self.by, self.at.isoformat()))

    @property
    def how(self) -> RefusalGround | RequestOutcome | None:
        """The ground of a refusal, the outcome of a fulfilment."""
        return self.ground or self.outcome


def needs_second_person(kind: RequestKind, decision: Decision) -> bool:
    """Whether two people of the staff take this decision about a request of this kind."""
    match decision:
        case Decision.REFUSE:
            return True
        case Decision.FULFIL:
            return kind.erases
        case _:
            assert_never(decision)


def is_person_of_staff(actor: str) -> bool:
    """Whether the actor is somebody who has signed in to the console."""
    return actor_kind(actor) == CONSOLE


def check_second_person(
    kind: RequestKind,
    decision: Decision,
    actor: str,
    proposal: Proposal | None,
    how: RefusalGround | RequestOutcome | None = None,
) -> None:
    """Raises SecondPersonRequired unless `actor` may take this decision now.

    Somebody of the staff may where another has proposed the same: `how` is the ground of a refusal,
    the outcome of a fulfilment.
    """
    if not is_person_of_staff(actor) or not needs_second_person(kind, decision):
        return
    if proposal is None or (proposal.decision, proposal.how) != (decision, how):
        raise SecondPersonRequired("two people decide this: propose it, then another one decides")
    if proposal.by == actor:
        raise OwnDecision("you proposed this: another person has to decide")


def check_ends_hold(placed_by: str, actor: str) -> None:
    """Raises SecondPersonRequired if somebody of the staff ends a hold of their own."""
    if is_person_of_staff(actor) and placed_by == actor:
        raise OwnDecision("you placed this hold: another person has to end it")
