"""What work of many rows costs: jobs, commands and what others wait for meanwhile."""

from __future__ import annotations

from statistics import median

from bench import (
    access,
    announcing,
    backfilling,
    clicking,
    counting,
    draining,
    erasing,
    forms,
    ground,
    pacing,
    starving,
    vendors,
    working,
)
from bench.reporting import BULK, FULL, Options, say
from dev.engines import Engines

DRAINED = 50_000
UNDONE = 5_000
PACED = 100_000
WORKED = 20_000


def measure_draining(engines: Engines, options: Options) -> None:
    """Draining: at least 5,000 addresses a second."""
    found = []
    for _ in range(options.rounds):
        with ground.ground(engines) as here:
            found.append(draining.drain(here, options.rows(DRAINED)))
    say(f"record, 10,000 at a time: {median(pair[0] for pair in found):,.0f} changes/s")
    say(f"draining: {median(pair[1] for pair in found):,.0f} addresses/s (wanted: 5,000)")


def measure_undoing(engines: Engines, options: Options) -> None:
    """An undo of 5,000 opt-outs, to a tool that takes fifty lifts a push: within minutes."""
    count = options.rows(UNDONE)
    with ground.ground(engines) as here:
        took = draining.undo(here, count)
    say(f"undo of {count:,} opt-outs, {draining.LIFTS} lifts a push: {took:,.0f} s (wanted: 600)")


def measure_pacing(engines: Engines, options: Options) -> None:
    """A backlog for a tool with a limit: within 1.1 times what the limit dictates."""
    with ground.ground(engines) as here:
        found = pacing.keep_to_limit(here, options.rows(PACED, FULL))
    say(
        f"{found.count:,} opt-outs to a tool that takes 190 requests in 10 s: {found.took:,.0f} s,"
        f" {found.took / found.limit:.3f} times the {found.limit:,.0f} s of its limit"
        f" (wanted: 1.1), at work for {found.worked:,.0f} s of them;"
        f" {found.answered:,} requests answered, {found.refused:,} refused with 429"
    )


def measure_vendors(engines: Engines, options: Options) -> None:
    """A back-fill of a million contacts at each vendor with limits: inside 72 hours."""
    for vendor in vendors.VENDORS:
        found = []
        for size in sorted({options.rows(size, FULL) for size in vendor.sizes}):
            with ground.ground(engines) as here:
                found.append(vendors.measure(here, vendor, size))
            took = found[-1]
            say(
                f"  {vendor.name}, {took.count:,}: {took.answered:,} requests in"
                f" {took.hours:.2f} h, {took.refused:,} refused with 429"
            )
        million = vendors.Million(vendor, tuple(found))
        say(
            f"{vendor.name}, a million contacts: {million.requests:,.0f} requests in"
            f" {million.hours:.1f} h, {million.share:.2f} times the 72 h"
        )


def measure_workers(engines: Engines, options: Options) -> None:
    """Two workers against one, where a call takes 50 ms: at least 1.7 times."""
    rounds = []
    for _ in range(options.rounds):
        pair = []
        for workers in (1, 2):
            with ground.ground(engines) as here:
                pair.append(working.settle(here, options.rows(WORKED), workers))
        say(f"  one worker {pair[0]:,.0f}/s, two {pair[1]:,.0f}/s, {pair[1] / pair[0]:.2f} times")
        rounds.append((pair[0], pair[1]))
    say(
        f"50 ms a call: one worker {median(one for one, _ in rounds):,.0f} addresses/s,"
        f" two {median(two / one for one, two in rounds):.2f} times that (wanted: 1.7)"
    )


def measure_starving(engines: Engines, options: Options) -> None:
    """A healthy tool with a slow one next to it: clicks are pushed to it at p99 in under 10 s."""
    for which, (slow, stalls) in starving.MODES.items():
        found = []
        seconds, delay = (1, 0.2) if options.is_smoke else (options.seconds * 24, stalls)
        for _ in range(options.rounds):
            with ground.ground(engines) as here:
                processes = ["workers.worker", "workers.worker fresh"]
                found.append(starving.clicks_with_slow_tool(here, seconds, processes, slow, delay))
        say(
            f"next to a tool {which} a healthy one gets {found[0].clicks} clicks at p50"
            f" {median(one.p50 for one in found):.1f} s,"
            f" p99 {median(one.p99 for one in found):.1f} s (wanted: under 10),"
            f" at worst {max(one.worst for one in found):.1f} s"
        )


def measure_backfilling(engines: Engines, options: Options) -> None:
    """A new destination during clicks: none slower than 500 ms by it."""
    with ground.ground(engines) as here:
        found = backfilling.measure(here, options.rows(PACED, FULL), options.seconds)
    say(
        f"back-fill of {found.rows:,}: {found.seconds:,.0f} s,"
        f" {found.rows / found.seconds:,.0f} rows/s, during {clicking.CLICKS} clicks a second"
    )
    for name, clicks in (("before it", found.alone), ("during it", found.meanwhile)):
        say(
            f"  clicks {name}: {clicks.count:,}, p50 {clicks.p50:.1f} ms, p99 {clicks.p99:.1f} ms,"
            f" slowest {clicks.slowest:.0f} ms (wanted: 500)"
        )


def measure_forms(engines: Engines, options: Options) -> None:
    """A mailbox with a thousand forms: facts do not grow with their square."""
    found, number = [], options.rows(forms.FORMS)
    for _ in range(options.rounds):
        with ground.ground(engines) as here:
            found.append(forms.measure(here, number))
    say(
        f"a mailbox with {number:,} forms and {forms.DESTINATIONS} destinations: a click"
        f" {median(one.click for one in found) * 1000:,.0f} ms"
        f" ({median(one.raised for one in found):,.0f} sync states, the rest later in"
        f" {median(one.rest for one in found) * 1000:,.0f} ms), {number:,} opt-outs in one"
        f" batch {median(one.every for one in found):,.2f} s, one look-up"
        f" {median(one.one for one in found) * 1000:,.1f} ms, {number:,} look-ups"
        f" {median(one.all for one in found) * 1000:,.0f} ms; a claimed batch of {forms.BATCH}"
        f" loads {median(one.facts for one in found):,.0f} facts in"
        f" {median(one.batch for one in found) * 1000:,.0f} ms"
    )


def measure_access(engines: Engines, options: Options) -> None:
    """The file of a person with 10,000 events: a minute at most, with bounded memory."""
    with ground.ground(engines) as here:
        most = options.rows(BULK)
        for number, events in enumerate((most // 10, *[most] * options.rounds)):
            built = access.measure(here, events, number)
            say(
                f"file of a person with {events:,} events and {events:,} deliveries:"
                f" {built.seconds:.1f} s, {built.seconds / access.LIMIT:.0%} of a minute;"
                f" {built.size / 1e6:.1f} MB, peak {built.peak / 1e6:.1f} MB"
            )


def measure_erasing(engines: Engines, options: Options) -> None:
    """10,000 people erased in one run, killed halfway, during clicks: none over 500 ms by it."""
    count = options.rows(BULK)
    for _ in range(options.rounds):
        with ground.ground(engines) as here:
            found = erasing.measure(here, count, options.seconds)
        say(
            f"erasing {found.erased:,} of {count:,}, killed after {found.before_kill:,}:"
            f" {found.seconds:.0f} s, {found.erased / found.seconds:,.0f}/s;"
            f" clicks at p50 {found.alone.p50:.1f} ms alone and {found.meanwhile.p50:.1f} ms"
            f" meanwhile, {found.meanwhile.p50 / found.alone.p50:.1f} times; p99"
            f" {found.alone.p99:.0f} and {found.meanwhile.p99:.0f} ms"
            f" ({found.meanwhile.p99 / found.alone.p99:.1f} times); slowest"
            f" {found.alone.slowest:.0f} and {found.meanwhile.slowest:.0f} ms (wanted: under 500)"
        )


def measure_announcing(engines: Engines, options: Options) -> None:
    """A privacy policy announced to 10,000 contacts, or a million; killed twice, each once."""
    with ground.ground(engines) as here:
        count = options.rows(BULK, FULL)
        found = announcing.measure(here, count)
    say(
        f"announcing to {count:,}, killed after"
        f" {' and '.join(f'{each:,}' for each in found.killed_after)}: {found.seconds:.0f} s,"
        f" {count / found.seconds:,.0f}/s; streamed {found.rows:,} in"
        f" {found.stream_seconds:.0f} s, {found.rows / found.stream_seconds:,.0f}/s;"
        f" {found.repeated} twice, {found.missing} missing (wanted: none)"
    )


def measure_counting(engines: Engines, options: Options) -> None:
    """Counts per day: at most a twentieth of recording; a report is read within 300 ms."""
    with ground.ground(engines) as here:
        found = counting.measure(here, options.rows(PACED, FULL))
    say(
        f"counting per day: {found.counting / found.recording:.3f} of the time of recording"
        f" (wanted: 0.05); {found.per_push * 1000:.2f} ms for the times of one push"
    )
    say(
        f"a report of {counting.QUARTER} days: {found.quarter * 1000:.0f} ms, of"
        f" {counting.LONGEST:,} days: {found.longest * 1000:.0f} ms (wanted: 300)"
    )
