"""The local filter: never a wrong "allowed" that is older than it says."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from clients.python.tests.fake_ledger import CHAIN, DIGEST_KEYS, OTHER_KEYS, FakeLedger
from preference_center_client import Action, Sending, Unavailable

np = pytest.importorskip("numpy")

from preference_center_client.local_filter import (  # noqa: E402
    DigestKeys,
    DigestKeysMismatch,
    LocalFilter,
)
from preference_center_client.local_filter.bloom import BloomFilter  # noqa: E402
from preference_center_client.local_filter.digests import DigestScheme  # noqa: E402

MAX_AGE, RELOAD = 60.0, 900.0
WEEKLY = "offers.weekly"
ADDRESSES = (
    "ada@example.com",
    "Ada+x@Example.com",
    "ada+y@example.com",
    "grace@gmail.com",
    "g.race+x@googlemail.com",
    "bob@example.org",
    "søren@example.com",
)


class Time:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def make(keys: str = DIGEST_KEYS) -> tuple[FakeLedger, LocalFilter, Time]:
    time = Time()
    ledger = FakeLedger(time)
    found = LocalFilter(ledger.client(), keys, max_age=MAX_AGE, reload_after=RELOAD, clock=time)
    return ledger, found, time


class Filter(RuleBasedStateMachine):
    """Opt-outs, outages, restores, changes of the catalogue and time, in any order."""

    @initialize()
    def begin(self) -> None:
        self.ledger, self.filter, self.time = make()
        self.refreshed = float("-inf")

    @rule(who=st.sampled_from(ADDRESSES))
    def opt_out(self, who: str) -> None:
        self.ledger.opt_out(who)

    @rule(seconds=st.sampled_from([0.5, 5.0, 59.0, 61.0, 901.0]))
    def wait(self, seconds: float) -> None:
        self.time.now += seconds

    @rule(down=st.booleans())
    def fail(self, down: bool) -> None:  # noqa: FBT001 - hypothesis calls it
        self.ledger.down = down

    @rule(offers=st.booleans())
    def change_the_catalogue(self, offers: bool) -> None:  # noqa: FBT001
        self.ledger.types = (WEEKLY,) if offers else ()

    @rule()
    def restore(self) -> None:
        """Of a backup that lacks the last opt-out; it is recorded again, later in the order."""
        self.ledger.epoch += 1
        self.ledger.log = self.ledger.log[::-1]

    @rule()
    def rotate_the_keys(self) -> None:
        self.ledger.scheme = DigestScheme(1, md5=not self.ledger.scheme.md5)

    @rule()
    def refresh(self) -> None:
        begun = self.time.now
        try:
            self.filter.refresh()
        except Unavailable:
            assert self.ledger.down
        else:
            self.refreshed = begun

    @invariant()
    def no_allowed_is_older_than_it_says(self) -> None:  # I2, I11
        if not hasattr(self, "filter"):
            return
        assert self.filter.age >= self.time.now - self.refreshed
        for who, decision in zip(
            ADDRESSES, self.filter.decide_many(WEEKLY, ADDRESSES), strict=True
        ):
            since = self.ledger.covers(who)
            if decision.allow and since is not None:
                assert decision.advisory == "local_filter"
                assert since >= self.refreshed
                assert self.time.now - since <= MAX_AGE
            if decision.advisory == "local_filter":
                assert self.filter.age <= MAX_AGE


Filter.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow],  # on a busy machine building a filter is
)
TestFilter = Filter.TestCase


def test_most_need_no_question_and_the_rest_are_asked() -> None:
    ledger, found, _ = make()
    ledger.opt_out("ada@example.com")
    found.refresh()
    people = [f"p{number}@example.com" for number in range(1_000)]
    decisions = found.decide_many(WEEKLY, [*people, "ada@example.com", "søren@example.com"])
    assert [each.allow for each in decisions] == [True] * 1_000 + [False, True]
    assert ledger.asked[-2:] == ["ada@example.com", "søren@example.com"]
    assert len(ledger.asked) < 20
    assert sum(each.advisory == "local_filter" for each in decisions) > 980


def test_an_opt_out_is_felt_at_the_next_refresh() -> None:
    ledger, found, _ = make()
    found.refresh()
    assert found.decide_many(WEEKLY, ["ada@example.com"])[0].allow
    ledger.opt_out("ADA@example.com")
    found.refresh()
    assert not found.decide_many(WEEKLY, ["ada@example.com"])[0].allow
    assert ledger.readings == [None, "1.0", "1.0"]


def test_its_age_counts_from_when_it_asked() -> None:
    ledger, found, time = make()

    def take() -> None:
        time.now += 7.0

    ledger.takes = take
    found.refresh()
    assert found.age == 7.0


def test_only_what_is_new_is_read() -> None:
    ledger, found, _ = make()
    found.refresh()
    for _ in range(2):
        ledger.opt_out("ada@example.com")
        found.refresh()
    assert ledger.readings == [None, "1.0", "1.0", "1.1"]


def test_everything_is_asked_when_it_is_too_old() -> None:
    ledger, found, time = make()
    assert found.age == float("inf")
    assert found.decide_many(WEEKLY, ["ada@example.com"])[0].rule == "asked"
    found.refresh()
    assert found.age == 0
    ledger.down = True
    time.now = MAX_AGE
    assert found.decide_many(WEEKLY, ["ada@example.com"])[0].allow
    time.now = MAX_AGE + 0.1
    assert found.decide_many(WEEKLY, ["ada@example.com"])[0].rule == "unanswered"
    assert found.age == time.now


def test_what_it_does_not_know_is_asked() -> None:
    ledger, found, _ = make()
    found.refresh()
    assert found.decide_many("newsletter.monthly", ["ada@example.com"])[0].rule == "asked"
    sms = found.decide_many(WEEKLY, ["+393331234567"], channel="sms")
    assert sms[0].rule == "asked"
    assert ledger.asked == ["ada@example.com", "+393331234567"]


def test_it_serves_as_the_client_of_sending() -> None:
    ledger, found, time = make()
    ledger.opt_out("ada@example.com")
    found.refresh()
    sending = Sending(found, service_types={"invoice"}, clock=time)
    people = ["ada@example.com", "bob@example.org"]
    assert sending.actions(WEEKLY, people) == [Action.DROP, Action.SEND]
    ledger.down = True
    assert sending.actions(WEEKLY, people) == [Action.WAIT, Action.SEND]
    assert sending.actions("invoice", people) == [Action.SEND, Action.SEND]  # I4


def test_other_keys_are_refused_and_nothing_is_answered() -> None:
    _, found, _ = make(OTHER_KEYS)
    with pytest.raises(DigestKeysMismatch, match="DIGEST_KEYS"):
        found.refresh()
    assert found.age == float("inf")


def test_a_service_without_digest_keys_is_refused() -> None:
    with pytest.raises(DigestKeysMismatch):
        DigestKeys(DIGEST_KEYS).check({})


def test_other_rules_for_addresses_are_refused_also_later() -> None:
    ledger, found, _ = make()
    found.refresh()
    ledger.norm_version = 2
    with pytest.raises(DigestKeysMismatch, match="update the client"):
        found.refresh()
    assert found.decide_many(WEEKLY, ["ada@example.com"])[0].rule == "asked"


def test_a_key_that_was_rotated_in_is_followed() -> None:
    ledger, found, _ = make(CHAIN)
    ledger.opt_out("ada@example.com")
    found.refresh()
    prepared = found.prepare(["bob@example.org"])
    assert found.surely_allowed(WEEKLY, prepared).all()
    ledger.keys, ledger.scheme = DigestKeys(CHAIN), DigestScheme(2, md5=False)
    found.refresh()
    assert not found.surely_allowed(WEEKLY, prepared).any()  # prepared with fewer keys
    assert found.decide_many(WEEKLY, ["ada@example.com"])[0].rule == "asked"
    assert found.decide_many(WEEKLY, ["bob@example.org"])[0].advisory == "local_filter"


def test_all_digests_are_read_again_when_due_or_when_many_are_new() -> None:
    ledger, found, time = make()
    found.refresh()
    time.now = RELOAD
    found.refresh()
    assert ledger.readings == [None, "1.0", None, "1.0"]
    for number in range(1_001):
        ledger.opt_out(f"p{number}@example.com")
    found.refresh()
    found.refresh()
    assert ledger.readings[-2:] == [None, "1.1001"]


def test_a_reading_that_was_cut_off_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, found, _ = make()
    ledger.opt_out("ada@example.com")
    whole = ledger._read("1.0")

    def cut_off(_: FakeLedger, __: str | None) -> httpx.Response:
        return httpx.Response(200, text="\n".join(whole.text.splitlines()[:-1]))

    monkeypatch.setattr(FakeLedger, "_read", cut_off)
    with pytest.raises(Unavailable, match="can't be read"):
        found.refresh()
    assert found.age == float("inf")


def test_it_refreshes_by_itself_until_it_is_closed() -> None:
    ledger, found, _ = make()
    found.start(interval=0.001)
    ledger.opt_out("ada@example.com")
    seen = len(ledger.readings)
    while len(ledger.readings) < seen + 2:
        pass
    assert not found.decide_many(WEEKLY, ["ada@example.com"])[0].allow
    ledger.down = True
    found.close()
    done = len(ledger.readings)
    assert found._thread
    assert not found._thread.is_alive()
    assert len(ledger.readings) == done


def test_keys_that_are_none_are_refused_without_being_shown() -> None:
    for text in ("", "d1", "d1:AAAA", f"{DIGEST_KEYS},d2"):
        with pytest.raises(ValueError, match="as the service has it") as raised:
            DigestKeys(text)
        assert DIGEST_KEYS not in str(raised.value)
    assert repr(DigestKeys(DIGEST_KEYS)) == "<DigestKeys d1>"


class TestBloomFilter:
    def test_it_misses_none_and_takes_few_others_for_one(self) -> None:
        random = np.random.default_rng(1)
        heads = random.integers(0, 2**64, 200_000, dtype=np.uint64)
        bloom = BloomFilter(len(heads))
        bloom.add(heads[:100_000])
        bloom.add(heads[100_000:])
        assert bloom.contains(heads).all()
        others = random.integers(0, 2**64, 200_000, dtype=np.uint64)
        assert bloom.contains(others).mean() < 0.004
        assert bloom.nbytes / len(heads) <= 2.001

    def test_one_filled_a_quarter_beyond_its_room_still_asks_little(self) -> None:
        heads = np.random.default_rng(2).integers(0, 2**64, 225_000, dtype=np.uint64)
        bloom = BloomFilter(100_000)
        bloom.add(heads[:125_000])
        assert bloom.contains(heads[125_000:]).mean() < 0.01

    def test_an_empty_one_contains_nothing(self) -> None:
        heads = np.arange(100, dtype=np.uint64)
        assert not BloomFilter(0).contains(heads).any()
        assert BloomFilter(0).contains(heads[:0]).shape == (0,)


def test_a_prepared_list_can_be_asked_again_and_again() -> None:
    ledger, found, _ = make()
    ledger.opt_out("ada@example.com")
    found.refresh()
    prepared = found.prepare(ADDRESSES)
    expected = [False, False, False, True, True, True, False]
    assert found.surely_allowed(WEEKLY, prepared).tolist() == expected
    ledger.opt_out("bob@example.org")
    found.refresh()
    assert not found.surely_allowed(WEEKLY, prepared)[5]
    assert not found.surely_allowed("newsletter.monthly", prepared).any()
    stale = replace(prepared, scheme=DigestScheme(2, md5=True))
    assert not found.surely_allowed(WEEKLY, stale).any()
