"""A look at somebody's data has a reason, and no more about its staff than the person may see."""

from __future__ import annotations

from uuid import UUID

import pytest

from preference_center.core.errors import InvalidInput
from preference_center.core.staff import AccessAction, AccessReason, StaffAccess, actor_kind
from tests.clock import START


def access(reference: str) -> StaffAccess:
    action, reason = AccessAction.PERSON_VIEWED, AccessReason.CALLED
    return StaffAccess(UUID(int=1), START, "cli:ada", action, reason, reference)


@pytest.mark.parametrize("reference", ["", "4711", "#4711", "SUP-4711", "2026/11.24_3", "x" * 40])
def test_a_ticket_number_is_a_reference(reference: str) -> None:
    assert access(reference).reference == reference


@pytest.mark.parametrize("reference", ["ada@example.com", "+39 333", "Ada L", "x" * 41, "a\n", "ä"])
def test_an_address_and_words_are_none_and_are_not_repeated(reference: str) -> None:  # I12
    with pytest.raises(InvalidInput, match="number of a ticket") as refused:
        access(reference)
    assert reference not in str(refused.value)


@pytest.mark.parametrize(
    "actor, kind",
    [
        ("cli:ada", "cli"),
        ("console:grace.hopper", "console"),
        ("key:shop", "key"),
        ("cli", "cli"),
        ("recipient", "recipient"),
        ("", ""),
    ],
)
def test_the_kind_of_an_actor_names_nobody(actor: str, kind: str) -> None:
    assert actor_kind(actor) == kind
