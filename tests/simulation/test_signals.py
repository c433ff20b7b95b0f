"""The oracle knows when a browser's signal is recorded."""

from __future__ import annotations

from datetime import timedelta

import pytest

from simulation.oracle import OptOut, Oracle
from simulation.people import ALL, SHARING, START, Form, forms_of
from simulation.signals import Signals

FORM, OTHER, *_ = forms_of(0)
NOW = START + timedelta(days=1)


@pytest.mark.parametrize(
    "form, scope, counts", [(FORM, SHARING, False), (OTHER, SHARING, True), (FORM, ALL, True)]
)
def test_the_signal_counts_unless_sharing_is_off_for_this_form(  # I9
    form: Form, scope: str, *, counts: bool
) -> None:
    oracle = Oracle()
    oracle.add_opt_out(OptOut(form, scope, START, START, START))
    assert Signals(oracle).counts(FORM, NOW) is counts


@pytest.mark.parametrize(
    "consent, counts", [(None, True), (-60, True), (60, False), (-5, None), (5, None)]
)
def test_a_consent_outweighs_it_that_is_newer_than_the_first(
    consent: float | None, *, counts: bool | None
) -> None:
    signals = Signals(Oracle())
    signals.note(FORM, START)
    signals.note(FORM, NOW)
    if consent is not None:
        signals.oracle.add_opt_in(FORM, SHARING, START + timedelta(seconds=consent))
    assert signals.counts(FORM, NOW) is counts
