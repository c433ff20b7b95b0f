"""Histories lose their database and rotate digests, and the oracle knows what follows."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from simulation.acts import Act, Options
from simulation.history import draw
from simulation.oracle import OptOut, Oracle
from simulation.outages import ACCEPTED, learn_recorded
from simulation.people import NEWS, START, forms_of

FORM, *_ = forms_of(2)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def spooled(oracle: Oracle, seconds: float) -> OptOut:
    """An opt-out that a host has accepted so many seconds after the beginning."""
    accepted = at(seconds)
    return oracle.add_opt_out(OptOut(FORM, NEWS, accepted, accepted, accepted, sure=False))


def test_whether_a_spooled_opt_out_is_known_nobody_knows_until_it_is_replayed() -> None:  # I2
    oracle = Oracle()
    opt_out = spooled(oracle, 0)
    assert oracle.must_be_off(FORM, NEWS, at(60)) is None
    learn_recorded(oracle, opt_out, at(60))
    assert oracle.must_be_off(FORM, NEWS, at(60)) is True
    assert oracle.since(FORM, NEWS, at(60)) == START
    assert oracle.known_since(FORM, NEWS, at(60)) == at(60)


@pytest.mark.parametrize("asked, is_off", [(-10, True), (10, False)])
def test_it_counts_from_its_receipt_and_not_from_its_replay(
    asked: float, *, is_off: bool
) -> None:  # I5
    oracle = Oracle()
    opt_out = spooled(oracle, 0)
    oracle.add_opt_in(FORM, NEWS, at(asked))
    learn_recorded(oracle, opt_out, at(60))
    assert oracle.must_be_off(FORM, NEWS, at(60)) is is_off


def test_one_that_is_replayed_within_seconds_outranks_an_opt_in_by_a_clock_ahead() -> None:  # I5
    oracle = Oracle()
    opt_out = spooled(oracle, 0)
    oracle.add_opt_in(FORM, NEWS, at(2), known=START - timedelta(seconds=1))
    learn_recorded(oracle, opt_out, at(3))
    assert oracle.must_be_off(FORM, NEWS, at(60)) is True


def histories(what: str) -> list[list[Act]]:
    """Those of forty seeds in which this happens."""
    drawn = [draw(str(seed), Options()) for seed in range(40)]
    return [acts for acts in drawn if any(act.what == what for act in acts)]


@pytest.mark.parametrize("what", ["database_away", "database_lost"])
def test_histories_lose_the_database_while_people_opt_out_who_opt_in_later(what: str) -> None:
    found = histories(what)
    assert 0 < len(found) < 20  # they take longer
    for acts in found:
        (away, *_) = (act for act in acts if act.what == what)
        meanwhile = range(away.at, away.at + away.number)
        out = {(act.who, act.form) for act in acts if act.what in ACCEPTED and act.at in meanwhile}
        back = {
            (act.who, act.form) for act in acts if act.what == "opt_in" and act.at > meanwhile.stop
        }
        assert out & back
        assert any(out & {*act.many} for act in acts if act.what == "import")


def test_histories_rotate_digests_in_several_runs_of_which_the_last_is_not_cut_off() -> None:
    found, between = histories("rotate"), 0
    assert 0 < len(found) < 20
    for acts in found:
        *cut, last = (act for act in acts if act.what == "rotate")
        assert cut
        assert all(act.form and act.scope in {"killed", "frozen"} for act in cut)
        assert (last.form, last.scope) == (0, "")
        between += sum(act.who >= 0 and cut[0].at < act.at < last.at for act in acts)
    assert between > len(found)
