"""A new privacy policy is announced to many contacts: killed twice, resumed, then streamed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context

from bench.ground import Ground, hush
from dev.processes import wait_until
from preference_center import contacts
from preference_center.app.web import create_app
from preference_center.catalogue import catalogue_digest
from preference_center.catalogue import store as catalogues
from preference_center.contacts.notices.select import next_rows, select_all
from preference_center.contacts.rules.contact import ContactUpdate
from preference_center.core.addresses import Channel, parse_address
from preference_center.infra.config import Settings
from preference_center.infra.db.connections import COMMAND_TIMEOUTS
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.rules import RequestOrigin

VERSION = "bench"
_POLICY = f"""
[message_types.bench_policy_update]
class = "service"
ground = "legal_notice"

[policies.privacy.{VERSION}]
effective = 2100-01-01
url = "https://example.com/privacy"
sha256 = "{"0" * 64}"
summary = {{ it = "-", en = "-", de = "-", fr = "-", es = "-" }}
message_type = "bench_policy_update"
"""
_AT_ONCE = 500
_LONGEST = 3_600.0
"""Seconds that a run is waited for until it is killed."""


@dataclass(frozen=True, slots=True)
class Found:
    """How it went: `killed_after` is how many were selected at each kill.

    `seconds` is what the three runs took together, `rows` and `stream_seconds` the whole stream
    afterwards, and `repeated` and `missing` the people that it has more than once or not at all.
    """

    killed_after: tuple[int, ...]
    seconds: float
    rows: int
    stream_seconds: float
    repeated: int
    missing: int


def measure(here: Ground, count: int) -> Found:
    """Announce to so many contacts, killed (SIGKILL) after a third and after two thirds."""
    with here.app.app_context():
        hush()
        _declare()
        _store(count)
    here.vacuum()
    begun = time.monotonic()
    killed_after = tuple(_kill_at(here, count * part // 3) for part in (1, 2))
    with here.app.app_context():
        select_all(VERSION, lambda _: None)
        seconds = time.monotonic() - begun
        begun = time.monotonic()
        found = _stream()
        stream_seconds = time.monotonic() - begun
    return Found(
        killed_after,
        seconds,
        found.total(),
        stream_seconds,
        repeated=sum(times > 1 for times in found.values()),
        missing=count - len(found),
    )


def _declare() -> None:
    current = run_in_transaction(catalogues.load_current_text)
    assert current
    text = current + _POLICY
    run_in_transaction(
        lambda c: catalogues.insert_version(c, text, catalogue_digest(text), datetime.now(UTC))
    )
    catalogues.clear_catalogue_cache()


def _store(count: int) -> None:
    origin = RequestOrigin("bench", "bench", datetime.now(UTC))
    for first in range(0, count, _AT_ONCE):
        contacts.upsert_contacts(
            [_contact(number) for number in range(first, min(first + _AT_ONCE, count))], origin
        )


def _contact(number: int) -> ContactUpdate:
    address = parse_address(f"informed-{number}@people.example", Channel.EMAIL)
    return ContactUpdate(f"c-{number}", "en", (address,))


def _stream() -> Counter[str]:
    """How often each address is in the stream."""
    found: Counter[str] = Counter()
    after = 0
    while rows := next_rows(VERSION, after):
        found.update(row["address"] for row in rows)
        after = int(rows[-1]["cursor"])
    return found


def _count() -> int:
    rows = run_in_transaction(lambda c: c.execute("SELECT count(*) FROM policy_notice").fetchall())
    return int(rows[0][0])


def _select_in_process(settings: Settings) -> None:
    with create_app(settings, timeouts=COMMAND_TIMEOUTS).app_context():
        hush()
        select_all(VERSION, lambda _: None)


def _kill_at(here: Ground, wanted: int) -> int:
    """Have a process select, and kill it once so many are; returns how many were."""
    process = get_context("spawn").Process(target=_select_in_process, args=(here.settings,))
    process.start()
    with here.app.app_context():
        is_there: Callable[[], bool] = lambda: _count() >= wanted  # noqa: E731
        if not wait_until(is_there, _LONGEST):
            raise RuntimeError(f"{wanted:,} people were not selected in time")
        process.kill()
        process.join()
        return _count()
