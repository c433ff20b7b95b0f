"""`python -m bench`: measures the hot paths, each against a limit of the same run.

A round measures the peer, the database and the service one after the other, so that
whatever else the machine does meets all three; the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from bench import (
    access,
    announcing,
    backfilling,
    calling,
    clicking,
    consent_tag,
    decisions,
    draining,
    erasing,
    forms,
    ground,
    inbound,
    local_filter,
    minting,
    opt_out,
    pacing,
    probing,
    sql,
    starving,
    streaming,
    vendors,
    web,
    working,
)
from bench.load import CONNECTIONS, NO_WRK, Rate, Request, load, load_at
from dev.engines import Engines
from dev.errors import BrowserError

HELLO = [Request("/", method="GET")]
BULK = 10_000
DRAINED = 50_000
PACED = 100_000
FULL = 1_000_000
WORKED = 20_000
LATE = 1_000_000
POSTED = 700
"""Bytes of a body with one event, sealed."""


@dataclass(frozen=True, slots=True)
class Options:
    """How long and how often to measure."""

    seconds: float
    rounds: int
    full: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """One round: requests a second of the peer, the database and the service."""

    bare: float
    sql: float
    ours: Rate

    @property
    def limit(self) -> float:
        """What a request can cost at least: a bare request and its SQL."""
        return 1 / (1 / self.bare + 1 / self.sql)


def measure_opt_outs(engines: Engines, options: Options) -> None:
    """`POST /u/<token>`: at least 35% of its limit, and 2,500 a second."""
    with ground.ground(engines) as here, ExitStack() as stack:
        with here.app.app_context():
            ground.add_destinations(3)
        url = here.settings.database_url
        sql.opt_outs(url, options.seconds)  # nobody's tables are empty
        here.vacuum()
        bare = stack.enter_context(web.serving({}, web.BARE))
        ours = stack.enter_context(web.serving(here.environ))
        load(ours, opt_out.requests(here, 5_000), 1, CONNECTIONS)
        rounds = [
            _round(
                bare,
                lambda: sql.opt_outs(url, options.seconds),
                lambda: load(
                    ours,
                    opt_out.requests(here, int(6_000 * options.seconds)),
                    options.seconds,
                    CONNECTIONS,
                ),
                options,
            )
            for _ in range(options.rounds)
        ]
    _tell("POST /u/<token>", rounds, 0.35)


def measure_decisions(engines: Engines, options: Options) -> None:
    """`POST /v1/decisions`: 35% of its limit, 120,000 addresses a second in bulk.

    At half load, no more than 2.5 times the bare route's 99th percentile.
    """
    with ground.ground(engines) as here, ExitStack() as stack:
        say(f"storing {decisions.STORED:,} suppressions")
        decisions.fill(here)
        key = decisions.make_key(here)
        url, single = here.settings.database_url, decisions.single(key)
        bare = stack.enter_context(web.serving({}, web.BARE))
        ours = stack.enter_context(web.serving(here.environ))
        one = stack.enter_context(web.serving(here.environ, workers=1))
        load(ours, single, 2, CONNECTIONS)
        rounds = [
            _round(
                bare,
                lambda: sql.look_ups(url, 10 * decisions.STORED, options.seconds),
                lambda: load(ours, single, options.seconds, CONNECTIONS),
                options,
            )
            for _ in range(options.rounds)
        ]
        halves = [
            (
                load_at(bare, HELLO, options.seconds, one_round.bare / 2),
                load_at(ours, single, options.seconds, one_round.ours.per_second / 2),
            )
            for one_round in rounds
        ]
        bulk = decisions.bulk(key, BULK)
        rates = [load(one, bulk, options.seconds, 2) for _ in range(options.rounds)]
    _tell("POST /v1/decisions, one", rounds, 0.35)
    _tell_half(halves)
    found = median(rate.per_second for rate in rates) * BULK
    say(
        f"POST /v1/decisions, {BULK:,}: {found:,.0f} addresses/s through one process"
        f" (wanted: 120,000), a request p50 {median(rate.p50 for rate in rates):.0f} ms,"
        f" p99 {median(rate.p99 for rate in rates):.0f} ms"
    )


def measure_streaming(engines: Engines, options: Options) -> None:
    """`POST /v1/decisions/stream`: 100,000 lines a second, in memory that does not grow."""
    with ground.ground(engines) as here:
        decisions.fill(here)
        key = decisions.make_key(here)
        for form in ("ndjson", "csv"):
            lines = int(1_000_000 * options.seconds)
            with web.serving(here.environ, workers=1) as site:
                streaming.stream(site, key, 100_000, form)
                found = streaming.stream(site, key, lines, form)
            say(
                f"POST /v1/decisions/stream, {lines:,} lines of {form}: {found.per_second:,.0f}/s"
                f" through one process (wanted: 100,000), in memory at 10% of them"
                f" {found.at_tenth:.0f} MiB, at 100% {found.at_end:.0f} MiB"
            )


def measure_draining(engines: Engines, options: Options) -> None:
    """Draining: at least 5,000 addresses a second."""
    found = []
    for _ in range(options.rounds):
        with ground.ground(engines) as here:
            found.append(draining.drain(here, DRAINED))
    say(f"record, 10,000 at a time: {median(pair[0] for pair in found):,.0f} changes/s")
    say(f"draining: {median(pair[1] for pair in found):,.0f} addresses/s (wanted: 5,000)")


def measure_pacing(engines: Engines, options: Options) -> None:
    """A backlog for a tool with a limit: within 1.1 times what the limit dictates."""
    with ground.ground(engines) as here:
        found = pacing.keep_to_limit(here, FULL if options.full else PACED)
    say(
        f"{found.count:,} opt-outs to a tool that takes 190 requests in 10 s: {found.took:,.0f} s,"
        f" {found.took / found.limit:.3f} times the {found.limit:,.0f} s of its limit"
        f" (wanted: 1.1), at work for {found.worked:,.0f} s of them;"
        f" {found.answered:,} requests answered, {found.refused:,} refused with 429"
    )


def measure_vendors(engines: Engines, options: Options) -> None:
    """A back-fill of a million contacts at each vendor with limits: inside 72 hours."""
    for vendor in vendors.VENDORS:
        sizes = (FULL,) if options.full else vendor.sizes
        found = []
        for size in sizes:
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
                pair.append(working.settle(here, WORKED, workers))
        say(f"  one worker {pair[0]:,.0f}/s, two {pair[1]:,.0f}/s, {pair[1] / pair[0]:.2f} times")
        rounds.append((pair[0], pair[1]))
    say(
        f"50 ms a call: one worker {median(one for one, _ in rounds):,.0f} addresses/s,"
        f" two {median(two / one for one, two in rounds):.2f} times that (wanted: 1.7)"
    )


def measure_minting(engines: Engines, options: Options) -> None:
    """Links made offline: at least 50,000 a second on one core. By the API: as it comes."""
    rounds = [minting.measure(options.seconds) for _ in range(options.rounds)]
    found = median(one.with_mailto for one in rounds)
    say(
        f"links offline, headers with mailto: {found:,.0f}/s on one core (wanted: 50,000),"
        f" {median(one.with_mailto / one.limit for one in rounds):.0%} of the cryptography's"
        f" {median(one.limit for one in rounds):,.0f}/s; without mailto"
        f" {median(one.without_mailto for one in rounds):,.0f}/s"
    )
    with ground.ground(engines) as here, web.serving(here.environ, workers=1) as site:
        asked = minting.asking(here, BULK)
        rates = [load(site, asked, options.seconds, 2) for _ in range(options.rounds)]
    rate = median(rate.per_second for rate in rates) * BULK
    say(f"POST /v1/links, {BULK:,}: {rate:,.0f} links/s through one process")


def measure_calling(engines: Engines, options: Options) -> None:
    """What callers wait through the Python client, which its time-outs leave room over."""
    with ground.ground(engines) as here, web.serving(here.environ) as site:
        with here.app.app_context():
            ground.add_destinations(3)
        key = calling.make_key(here)
        for waits in calling.measure(site, key, options.seconds):
            say(str(waits))


def measure_local_filter(_: Engines, options: Options) -> None:
    """The Python client's local filter: two bytes an address, a million prepared answers a second.

    Preparing is as fast as the digests are: 40% of what the cryptography alone does.
    """
    rounds = [local_filter.measure(options.seconds) for _ in range(options.rounds)]
    found = rounds[0]
    say(
        f"local filter of {local_filter.SUPPRESSED:,} addresses: {found.bytes_each:.2f} bytes each"
        f" (wanted: 2), {found.mistaken:.2%} of others asked for nothing;"
        f" {median(one.asked for one in rounds):,.0f} answers/s from a prepared list on one core"
        f" (wanted: 1,000,000); {median(one.prepared for one in rounds):,.0f}/s prepared,"
        f" {median(one.prepared / one.limit for one in rounds):.0%} of the cryptography's"
        f" {median(one.limit for one in rounds):,.0f}/s; both with decisions as objects"
        f" {median(one.decided for one in rounds):,.0f}/s; read in"
        f" {median(one.load_seconds for one in rounds):.1f} s"
    )


def measure_inbound(engines: Engines, options: Options) -> None:
    """`POST /in/<destination>`: 35% of its limit, 1,000 events a second; workers keep up."""
    with ground.ground(engines) as here, ExitStack() as stack:
        with here.app.app_context():
            sender = inbound.connected()
        url = here.settings.database_url
        sql.posts(url, POSTED, options.seconds)
        here.vacuum()
        bare = stack.enter_context(web.serving({}, web.BARE))
        ours = stack.enter_context(web.serving(here.environ))
        load(ours, sender.requests(2_000, 1), 1, CONNECTIONS)
        rounds = [
            _round(
                bare,
                lambda: sql.posts(url, POSTED, options.seconds),
                lambda: inbound.posted(here, sender, ours, options.seconds, 1),
                options,
            )
            for _ in range(options.rounds)
        ]
        taken = inbound.taken(here, sender)
        rate = inbound.posted(here, sender, ours, options.seconds, inbound.BATCH)
        taken_of_batches = inbound.taken(here, sender)
    _tell("POST /in/<destination>, one event", rounds, 0.35)
    say(
        f"POST /in/<destination>, {inbound.BATCH} events: {rate.per_second:,.0f}/s, which are"
        f" {rate.per_second * inbound.BATCH:,.0f} events/s (wanted: 1,000), p99 {rate.p99:.1f} ms"
    )
    say(
        f"one worker records {taken:,.0f} events/s of single posts, {taken_of_batches:,.0f} of"
        " batches (wanted: 1,000)"
    )


def measure_probing(engines: Engines, options: Options) -> None:
    """`/healthz` with a million late rows: under 100 ms."""
    for destinations in (1, probing.DESTINATIONS):
        found = []
        for _ in range(options.rounds):
            with ground.ground(engines) as here:
                found.append(probing.probe(here, LATE, destinations))
        say(
            f"GET /healthz, {LATE:,} late rows of {destinations} destinations:"
            f" {median(one.counted for one in found):.0f} ms (wanted: under 100),"
            f" {median(one.cached for one in found):.0f} ms within ten seconds after it"
        )


def measure_starving(engines: Engines, options: Options) -> None:
    """A healthy tool with a slow one next to it: clicks are pushed to it at p99 in under 10 s."""
    for which, (slow, delay) in starving.MODES.items():
        found = []
        for _ in range(options.rounds):
            with ground.ground(engines) as here:
                processes = ["workers.worker", "workers.worker fresh"]
                seconds = options.seconds * 24
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
        found = backfilling.measure(here, FULL if options.full else PACED)
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
    found = []
    for _ in range(options.rounds):
        with ground.ground(engines) as here:
            found.append(forms.measure(here))
    say(
        f"a mailbox with {forms.FORMS:,} forms and {forms.DESTINATIONS} destinations: a click"
        f" {median(one.click for one in found) * 1000:,.0f} ms"
        f" ({median(one.raised for one in found):,.0f} sync states, the rest later in"
        f" {median(one.rest for one in found) * 1000:,.0f} ms), {forms.FORMS:,} opt-outs in one"
        f" batch {median(one.every for one in found):,.2f} s, one look-up"
        f" {median(one.one for one in found) * 1000:,.1f} ms, {forms.FORMS:,} look-ups"
        f" {median(one.all for one in found) * 1000:,.0f} ms; a claimed batch of {forms.BATCH}"
        f" loads {median(one.facts for one in found):,.0f} facts in"
        f" {median(one.batch for one in found) * 1000:,.0f} ms"
    )


def measure_access(engines: Engines, options: Options) -> None:
    """The file of a person with 10,000 events: a minute at most, with bounded memory."""
    with ground.ground(engines) as here:
        for number, events in enumerate((BULK // 10, *[BULK] * options.rounds)):
            built = access.measure(here, events, number)
            say(
                f"file of a person with {events:,} events and {events:,} deliveries:"
                f" {built.seconds:.1f} s, {built.seconds / access.LIMIT:.0%} of a minute;"
                f" {built.size / 1e6:.1f} MB, peak {built.peak / 1e6:.1f} MB"
            )


def measure_erasing(engines: Engines, options: Options) -> None:
    """10,000 people erased in one run, killed halfway, during clicks: none over 500 ms by it."""
    for _ in range(options.rounds):
        with ground.ground(engines) as here:
            found = erasing.measure(here, BULK)
        say(
            f"erasing {found.erased:,} of {BULK:,}, killed after {found.before_kill:,}:"
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
        count = FULL if options.full else BULK
        found = announcing.measure(here, count)
    say(
        f"announcing to {count:,}, killed after"
        f" {' and '.join(f'{each:,}' for each in found.killed_after)}: {found.seconds:.0f} s,"
        f" {count / found.seconds:,.0f}/s; streamed {found.rows:,} in"
        f" {found.stream_seconds:.0f} s, {found.rows / found.stream_seconds:,.0f}/s;"
        f" {found.repeated} twice, {found.missing} missing (wanted: none)"
    )


def measure_consent_tag(engines: Engines, options: Options) -> None:
    """The consent tool's script: smaller than other libraries, and its banner no later."""
    with ground.ground(engines) as here:
        try:
            found = consent_tag.measure(here, visits=options.rounds * 5)
        except (consent_tag.NoLibraries, BrowserError) as error:
            say(f"skipped: {error}")
            return
    ours = found[0]
    for each in found:
        say(
            f"{each.library.name}: {each.library.raw:,} bytes,"
            f" {each.library.compressed:,} compressed"
            f" ({each.library.compressed / ours.library.compressed:.1f} times ours);"
            f" banner after {each.median.shown:.0f} ms"
            f" ({each.median.shown / ours.median.shown:.2f} times),"
            f" script {each.median.script:.0f} ms, long tasks {each.median.long_tasks:.0f} ms"
        )


MEASUREMENTS: dict[str, Callable[[Engines, Options], None]] = {
    "opt-out": measure_opt_outs,
    "decisions": measure_decisions,
    "streaming": measure_streaming,
    "draining": measure_draining,
    "backfilling": measure_backfilling,
    "pacing": measure_pacing,
    "vendors": measure_vendors,
    "workers": measure_workers,
    "calling": measure_calling,
    "local-filter": measure_local_filter,
    "minting": measure_minting,
    "inbound": measure_inbound,
    "probing": measure_probing,
    "starving": measure_starving,
    "forms": measure_forms,
    "access": measure_access,
    "erasing": measure_erasing,
    "announcing": measure_announcing,
    "consent-tag": measure_consent_tag,
}


def _round(
    bare: str, database: Callable[[], float], ours: Callable[[], Rate], options: Options
) -> Round:
    found = Round(load(bare, HELLO, options.seconds, CONNECTIONS).per_second, database(), ours())
    say(
        f"  bare {found.bare:,.0f}/s, sql {found.sql:,.0f}/s, limit {found.limit:,.0f}/s;"
        f" ours {found.ours.per_second:,.0f}/s, {found.ours.per_second / found.limit:.0%}"
    )
    return found


def _tell(what: str, rounds: Sequence[Round], wanted: float) -> None:
    share = median(one.ours.per_second / one.limit for one in rounds)
    say(
        f"{what}: {median(one.ours.per_second for one in rounds):,.0f}/s,"
        f" {share:.0%} of its limit of {median(one.limit for one in rounds):,.0f}/s"
        f" (wanted: {wanted:.0%}), p50 {median(one.ours.p50 for one in rounds):.1f} ms,"
        f" p99 {median(one.ours.p99 for one in rounds):.1f} ms"
    )


def _tell_half(halves: Sequence[tuple[Rate | None, Rate | None]]) -> None:
    pairs = [(bare, ours) for bare, ours in halves if bare and ours]
    if pairs:
        say(
            f"  at half load: p99 {median(ours.p99 for _, ours in pairs):.1f} ms at"
            f" {median(ours.per_second for _, ours in pairs):,.0f}/s,"
            f" {median(ours.p99 / bare.p99 for bare, ours in pairs):.1f} times the bare route's"
            f" {median(bare.p99 for bare, _ in pairs):.1f} ms at"
            f" {median(bare.per_second for bare, _ in pairs):,.0f}/s (wanted: at most 2.5)"
        )


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="may be repeated")
    parser.add_argument("--seconds", type=float, default=5, help="per measurement (default: 5)")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts (default: 3)")
    parser.add_argument(
        "--full", action="store_true", help="a million opt-outs in pacing, not 100,000"
    )
    given = parser.parse_args()
    if not shutil.which("wrk"):
        print(NO_WRK, file=sys.stderr)
    busy = f", load {os.getloadavg()[0]:.1f} before we began" if hasattr(os, "getloadavg") else ""
    say(f"{os.cpu_count()} cores, Python {platform.python_version()}{busy}")
    with ground.engines() as engines:
        for name in given.only or MEASUREMENTS:
            say(f"-- {name}")
            MEASUREMENTS[name](engines, Options(given.seconds, given.rounds, given.full))


if __name__ == "__main__":
    main()
