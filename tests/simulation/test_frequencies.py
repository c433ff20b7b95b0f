"""How often somebody wants a topic follows from what they chose, by the simulation's own rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from simulation.accounts import Accounts
from simulation.frequencies import Frequencies
from simulation.oracle import Oracle
from simulation.people import START, forms_of
from simulation.violation import Violation

FORM, OTHER, *_ = forms_of(0)
HOUR = timedelta(hours=1)


def frequencies(*chosen: tuple[int, str], erased: int | None = None) -> Frequencies:
    """What another form of the mailbox has chosen after so many hours each."""
    unused: Any = None
    found = Frequencies(Oracle(), unused, Accounts())
    found.chosen[OTHER] = [(START + hours * HOUR, key) for hours, key in chosen]
    if erased is not None:
        found.accounts.erased_last[OTHER] = START + erased * HOUR
    return found


@pytest.mark.parametrize(
    "given, wanted",
    [
        (frequencies(), "weekly"),
        (frequencies((1, "monthly")), "monthly"),
        (frequencies((1, "daily")), "weekly"),
        (frequencies((1, "monthly"), (2, "daily")), "weekly"),
        (frequencies((1, "monthly"), erased=2), "weekly"),
        (frequencies((3, "monthly"), erased=2), "monthly"),
    ],
)
def test_another_form_makes_it_less_often_and_never_more(
    given: Frequencies, wanted: str
) -> None:  # I9
    given.check(FORM, wanted)
    with pytest.raises(Violation, match="I9"):
        given.check(FORM, None)
    given.chosen[FORM] = [(START, "daily")]
    given.check(FORM, "daily")
