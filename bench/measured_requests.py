"""What requests cost, of senders and browsers, each against a limit of the same run."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

from bench import (
    calling,
    consent_tag,
    console,
    decisions,
    ground,
    inbound,
    local_filter,
    minting,
    opt_out,
    probing,
    sql,
    streaming,
    web,
)
from bench.load import CONNECTIONS, load, load_at
from bench.reporting import (
    BULK,
    HELLO,
    NotHere,
    Options,
    measure_round,
    report_half_load,
    report_rounds,
    say,
)
from dev.engines import Engines
from dev.errors import BrowserError

LATE = 1_000_000
SUPPRESSED, ALL_SUPPRESSED = 1_000_000, 20_000_000
"""Suppressions behind the console's pages, and with `--full`."""
POSTED = 700
"""Bytes of a body with one event, sealed."""


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
        load(ours, opt_out.requests(here, options.rows(5_000)), 1, CONNECTIONS)
        rounds = [
            measure_round(
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
    report_rounds("POST /u/<token>", rounds, 0.35)


def measure_decisions(engines: Engines, options: Options) -> None:
    """`POST /v1/decisions`: 35% of its limit, 120,000 addresses a second in bulk.

    At half load, no more than 2.5 times the bare route's 99th percentile.
    """
    with ground.ground(engines) as here, ExitStack() as stack:
        stored = options.rows(decisions.STORED)
        say(f"storing {stored:,} suppressions")
        decisions.fill(here, stored)
        key = decisions.make_key(here)
        url, single = here.settings.database_url, decisions.single(key)
        bare = stack.enter_context(web.serving({}, web.BARE))
        ours = stack.enter_context(web.serving(here.environ))
        one = stack.enter_context(web.serving(here.environ, workers=1))
        load(ours, single, min(2, options.seconds), CONNECTIONS)
        rounds = [
            measure_round(
                bare,
                lambda: sql.look_ups(url, 10 * stored, options.seconds),
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
        size = options.rows(BULK)
        bulk = decisions.bulk(key, size)
        rates = [load(one, bulk, options.seconds, 2) for _ in range(options.rounds)]
    report_rounds("POST /v1/decisions, one", rounds, 0.35)
    report_half_load(halves)
    found = median(rate.per_second for rate in rates) * size
    say(
        f"POST /v1/decisions, {size:,}: {found:,.0f} addresses/s through one process"
        f" (wanted: 120,000), a request p50 {median(rate.p50 for rate in rates):.0f} ms,"
        f" p99 {median(rate.p99 for rate in rates):.0f} ms"
    )


def measure_streaming(engines: Engines, options: Options) -> None:
    """`POST /v1/decisions/stream`: 100,000 lines a second, in memory that does not grow."""
    with ground.ground(engines) as here:
        decisions.fill(here, options.rows(decisions.STORED))
        key = decisions.make_key(here)
        for form in ("ndjson", "csv"):
            lines = options.rows(int(1_000_000 * options.seconds))
            with web.serving(here.environ, workers=1) as site:
                streaming.stream(site, key, options.rows(100_000), form)
                found = streaming.stream(site, key, lines, form)
            say(
                f"POST /v1/decisions/stream, {lines:,} lines of {form}: {found.per_second:,.0f}/s"
                f" through one process (wanted: 100,000), in memory at 10% of them"
                f" {found.at_tenth:.0f} MiB, at 100% {found.at_end:.0f} MiB"
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
        size = options.rows(BULK)
        asked = minting.asking(here, size)
        rates = [load(site, asked, options.seconds, 2) for _ in range(options.rounds)]
    rate = median(rate.per_second for rate in rates) * size
    say(f"POST /v1/links, {size:,}: {rate:,.0f} links/s through one process")


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
            unread = ground.add_destination(
                "unread", "sendgrid", {"api_key": "none"}, inbound.GROUP
            )
        url = here.settings.database_url
        sql.posts(url, unread, POSTED, options.seconds)
        here.vacuum()
        bare = stack.enter_context(web.serving({}, web.BARE))
        ours = stack.enter_context(web.serving(here.environ))
        load(ours, sender.requests(options.rows(2_000), 1), 1, CONNECTIONS)
        rounds = [
            measure_round(
                bare,
                lambda: sql.posts(url, unread, POSTED, options.seconds),
                lambda: inbound.posted(here, sender, ours, options.seconds, 1),
                options,
            )
            for _ in range(options.rounds)
        ]
        taken = inbound.taken(here, sender)
        rate = inbound.posted(here, sender, ours, options.seconds, inbound.BATCH)
        taken_of_batches = inbound.taken(here, sender)
    report_rounds("POST /in/<destination>, one event", rounds, 0.35)
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
    late = options.rows(LATE)
    for destinations in (1, probing.DESTINATIONS):
        found = []
        for _ in range(options.rounds):
            with ground.ground(engines) as here:
                found.append(probing.probe(here, late, destinations))
        say(
            f"GET /healthz, {late:,} late rows of {destinations} destinations:"
            f" {median(one.counted for one in found):.0f} ms (wanted: under 100),"
            f" {median(one.cached for one in found):.0f} ms within ten seconds after it"
        )


def measure_consent_tag(engines: Engines, options: Options) -> None:
    """The consent tool's script: smaller than other libraries, and its banner no later."""
    with ground.ground(engines) as here:
        try:
            visits = 1 if options.is_smoke else options.rounds * 5
            found = consent_tag.measure(here, visits)
        except BrowserError as error:
            raise NotHere(str(error)) from error
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


def measure_console(engines: Engines, options: Options) -> None:
    """Every page of the console: at most 300 ms of server time."""
    stored = options.rows(SUPPRESSED, ALL_SUPPRESSED)
    per_minute, busy = options.rows(console.PER_MINUTE), options.rows(console.BUSY)
    minutes = 60 if options.full else 10
    with ground.ground(engines) as here:
        say(
            f"storing {stored:,} suppressions, {per_minute:,} deliveries a minute for"
            f" {minutes} minutes, and a person with {busy:,} events"
        )
        console.fill(here, stored, per_minute * minutes, busy)
        ground.hush()
        pages = console.measure(here, 1 if options.is_smoke else max(options.rounds, 5))
    for page in sorted(pages, key=lambda each: each.longest, reverse=True):
        say(
            f"{page.rule} ({page.status}): median {page.median:.0f} ms, longest"
            f" {page.longest:.0f} ms, {page.longest / console.LIMIT:.0%} of {console.LIMIT:.0f} ms"
        )
    late = [page.rule for page in pages if page.longest > console.LIMIT]
    say(f"console: {len(pages)} pages, {len(late)} above the limit: {', '.join(late) or 'none'}")
