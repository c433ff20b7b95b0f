"""A destination is added to many suppressions: how long the vendor's limits make it take.

The service's own code with a simulated clock, as in `pacing`, against stand-ins that keep the
vendor's documented limits and answer 429 beyond them. Everybody who opted out is a contact
there who is not off yet: the worst there is. It is over when no row waits any more and the
tool's own opt-outs and contacts were read once; what was pushed is read back meanwhile, as it
always is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from bench.ground import Ground, add_destination, hush
from bench.opted_out import address_of, opt_out
from bench.pacing import Clock, simulated
from preference_center.core.deadlines import WINDOW
from preference_center.destinations.connect import Lease
from preference_center.destinations.push import sync
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.scan import schedule_new_listings, verify
from preference_center.destinations.store import listings, states
from preference_center.destinations.store.backfills import backfill
from preference_center.destinations.token_buckets import TokenBucket, TokenBuckets
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import Connector, DestinationConfig, RateLimit
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.registry import get_spec, make_connector
from tests.integrations.tools import braze, hubspot, sendgrid, ses
from tests.integrations.tools.ses_imports import BUCKET, Imports
from tests.integrations.tools.stand_in import StandIn
from workers.scheduler import TICK_INTERVAL, scan_backfill_kinds

MILLION = 1_000_000
DAY = 86_400.0
TARGET = "11"
SLICE = timedelta(minutes=1)
EXPORT_TAKES = 20
"""Polls, half a minute apart: not documented."""
IMPORT_TAKES = 300.0
"""Seconds of a job of up to a thousand contacts: not documented."""
IMPORTS_AT_ONCE = 20

Takes = Callable[[Request], bool]


def every_request(_: Request) -> bool:
    """A limit of the account."""
    return True


@dataclass(slots=True)
class Quota:
    """`rate` of the requests that it `takes`, in any span of that length."""

    rate: RateLimit
    takes: Takes = every_request
    lately: deque[float] = field(default_factory=deque)

    def admits(self, request: Request, now: float) -> bool:
        """Whether it allows the request, which then counts."""
        if not self.takes(request):
            return True
        while self.lately and self.lately[0] <= now - self.rate.seconds:
            self.lately.popleft()
        if len(self.lately) >= self.rate.requests:
            return False
        self.lately.append(now)
        return True


class Limited(StandIn):
    """A stand-in that keeps quotas."""

    def limit(self, clock: Clock, *quotas: Quota) -> None:
        """Keep them from now on, and count."""
        self._clock, self._quotas = clock, quotas
        self.answered = self.refused = 0

    def handle(self, request: Request) -> Response:
        now = self._clock.seconds()
        if not all(quota.admits(request, now) for quota in self._quotas):
            self.refused += 1
            return Response('{"message": "too many requests"}', 429)
        self.answered += 1
        return super().handle(request)


class LimitedSendGrid(Limited, sendgrid.SendGridStandIn):
    """SendGrid."""


class LimitedBraze(Limited, braze.BrazeStandIn):
    """Braze."""


class LimitedHubSpot(Limited, hubspot.HubSpotStandIn):
    """HubSpot."""


class LimitedSes(Limited, ses.SesStandIn):
    """Amazon SES, whose imports take their time."""

    def handle(self, request: Request) -> Response:
        assert isinstance(self.imports, TimedImports)
        self.imports.pass_time(self._clock.seconds(), self.contacts, self.touch)
        return super().handle(request)

    def _check(self, *_: Any) -> None:
        """What the tests hold to AWS's model takes too long here."""


class TimedImports(Imports):
    """Jobs that are done after a while, twenty at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.lists = MILLION
        self._begun: dict[str, float] = {}

    def pass_time(self, now: float, contacts: Any, touch: Any) -> None:
        running = [job for job in self.jobs if job["JobStatus"] != "COMPLETED"]
        if len(running) > IMPORTS_AT_ONCE:
            raise RuntimeError("SES would have refused the job")
        for job in running:
            if now - self._begun.setdefault(job["JobId"], now) >= IMPORT_TAKES:
                self._work_off(job, contacts, touch)


@dataclass(frozen=True, slots=True)
class Vendor:
    """One account, and the limits that its vendor documents."""

    name: str
    kind: str
    tool: type[Limited]
    quotas: Callable[[], Sequence[Quota]]
    settings: Callable[[Any], dict[str, str]]
    prepare: Callable[[Any, int], None]
    is_off: Callable[[Any, str], bool]
    sizes: tuple[int, ...] = (20_000, 100_000)
    """How many are measured, where a million take this machine too long."""
    rate: RateLimit | None = None
    """As its setting `rate` would state it; else the connector's own."""
    a_day: int | None = None
    """Requests that the account may make in a day."""


@dataclass(frozen=True, slots=True)
class Took:
    """How a back-fill went; hours of the simulated clock."""

    count: int
    hours: float
    answered: int
    refused: int


@dataclass(frozen=True, slots=True)
class Million:
    """What two sizes come to for a million: in proportion, or by a straight line if that is more.

    In proportion the waits that come once (an export, the pause between two passes) are counted
    over and over, so it is no less than a million would take.
    """

    vendor: Vendor
    sizes: tuple[Took, ...]

    @property
    def requests(self) -> float:
        """Answered."""
        return self._at_a_million(lambda took: took.answered)

    @property
    def hours(self) -> float:
        """No fewer than the requests take by the day."""
        hours = self._at_a_million(lambda took: took.hours)
        if self.vendor.a_day is None:
            return hours
        return max(hours, self.requests / self.vendor.a_day * 24)

    @property
    def share(self) -> float:
        """Of the 72 hours."""
        return self.hours / (WINDOW.total_seconds() / 3600)

    def _at_a_million(self, of: Callable[[Took], float]) -> float:
        first, last = self.sizes[0], self.sizes[-1]
        in_proportion = of(last) * MILLION / last.count
        if first is last:
            return in_proportion
        slope = (of(last) - of(first)) / (last.count - first.count)
        return max(in_proportion, of(last) + slope * (MILLION - last.count))


def measure(ground: Ground, vendor: Vendor, count: int) -> Took:
    """Opt `count` people out, then add a destination where they all are contacts."""
    with ground.app.app_context():
        hush()
        opt_out(count)
        ground.vacuum()
        with simulated() as clock, vendor.tool() as tool:
            tool.limit(clock, *vendor.quotas())
            vendor.prepare(tool, count)
            settings = vendor.settings(tool)
            number = add_destination(vendor.kind, vendor.kind, settings, TARGET)
            backfill(number)
            hours = _work_off(ground, vendor, number, clock) / 3600
            if not all(vendor.is_off(tool, address_of(n)) for n in range(count)):
                raise RuntimeError("not every opt-out reached the tool")
    return Took(count, hours, tool.answered, tool.refused)


def _work_off(ground: Ground, vendor: Vendor, number: int, clock: Clock) -> float:
    """Seconds until nothing waits; one worker does what is due, as the scheduler finds it."""
    buckets = TokenBuckets(ground.settings.redis_url, clock.epoch)
    rate = vendor.rate or get_spec(vendor.kind).capabilities.rate_limit

    def connect(of: Destination, lease: Lease) -> Connector:
        setup = DestinationConfig(of.name, of.settings, of.mapping)
        pace = TokenBucket(buckets, of.name, rate)
        http = HttpContext(now=clock, allow_private=True, rate_limiter=pace, sleep=clock.skip)
        return make_connector(
            of.kind, setup, replace(http, lease_valid=lease, max_wait=lease.max_wait)
        )

    began = clock.seconds()
    while _waits(number):
        schedule_new_listings(clock())
        done = 0
        for of, part in run_in_transaction(lambda c: listings.list_due_listings(c, clock())):
            done += verify(of, part, connect, until=clock() + SLICE, stop=lambda: False)
        for due in run_in_transaction(
            lambda c: states.list_due(c, clock(), scan_backfill_kinds(c))
        ):
            until = clock() + SLICE
            done += sync(due.destination_id, connect, until=until, stop=lambda: False)
        if not done:
            clock.skip(max(TICK_INTERVAL, _until_next(number, clock())))
    return clock.seconds() - began


def _waits(number: int) -> bool:
    rows = run_in_transaction(
        lambda c: c.execute(
            """SELECT EXISTS (SELECT FROM sync_state
                    WHERE destination_id = d.id AND due_at IS NOT NULL)
                OR NOT EXISTS (SELECT FROM listing WHERE destination_id = d.id)
                OR EXISTS (SELECT FROM listing WHERE destination_id = d.id
                    AND kind IN ('pull', 'scan') AND next_at IS NOT NULL AND finished_at IS NULL)
            FROM destination d WHERE d.id = %s""",
            (number,),
        ).fetchone()
    )
    return bool(rows and rows[0])


def _until_next(number: int, now: datetime) -> float:
    """Seconds until something is due."""
    rows = run_in_transaction(
        lambda c: c.execute(
            """SELECT GREATEST(d.retry_at, LEAST(
                (SELECT min(next_at) FROM listing WHERE destination_id = d.id),
                (SELECT min(next_at) FROM sync_state
                    WHERE destination_id = d.id AND NOT bulk AND due_at IS NOT NULL)))
            FROM destination d WHERE d.id = %s""",
            (number,),
        ).fetchone()
    )
    at: datetime | None = rows[0] if rows else None
    return (at - now).total_seconds() if at else 0.0


def _contacts_of_sendgrid(tool: LimitedSendGrid, count: int) -> None:
    tool.exports.polls = EXPORT_TAKES
    tool.exports.rows_per_file = 10_000
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(count):
        tool.add(address_of(number), long_ago)


def _contacts_of_ses(tool: LimitedSes, count: int) -> None:
    tool.imports = TimedImports()
    tool.everybody, tool.page = False, 1_000
    tool.topics = {TARGET: "News"}
    for number in range(count):
        tool.add(address_of(number))


def _off_at_ses(tool: LimitedSes, address: str) -> bool:
    stated = tool.contacts[address]["TopicPreferences"]
    return {"TopicName": TARGET, "SubscriptionStatus": "OPT_OUT"} in stated


def _settings_of_ses(tool: LimitedSes) -> dict[str, str]:
    return {
        "region": ses.REGION,
        "contact_list": ses.LIST,
        "access_key_id": ses.KEY,
        "secret_access_key": ses.SECRET,
        "base_url": tool.url,
        "import_bucket": BUCKET,
        "bucket_url": f"{tool.url}/{BUCKET}",
    }


def _single_calls(tool: LimitedHubSpot, _: int) -> None:
    tool.scopes -= {hubspot.BATCH_READ, hubspot.BATCH_WRITE}


def _nothing(_: Any, __: int) -> None:
    """Every address that is asked for is a contact."""


def _off_at_hubspot(tool: LimitedHubSpot, address: str) -> bool:
    return tool.statuses[address][int(TARGET)] == "UNSUBSCRIBED"


def _by_path(path: str) -> Takes:
    return lambda request: request.path == path


def _hubspot(
    name: str,
    rate: RateLimit,
    a_day: int,
    prepare: Callable[[Any, int], None],
    sizes: tuple[int, ...] = (10_000, 20_000),
) -> Vendor:
    """https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines ."""
    return Vendor(
        name,
        "hubspot",
        LimitedHubSpot,
        lambda: [Quota(rate), Quota(RateLimit(a_day, DAY))],
        lambda tool: {"token": hubspot.TOKEN, "base_url": tool.url},
        prepare,
        _off_at_hubspot,
        sizes=sizes,
        rate=rate,
        a_day=a_day,
    )


VENDORS = (
    Vendor(
        # The example of the page about limits, which names none for these calls.
        "SendGrid",
        "sendgrid",
        LimitedSendGrid,
        lambda: [Quota(RateLimit(500, 60))],
        lambda tool: {"api_key": sendgrid.KEY, "base_url": tool.url},
        _contacts_of_sendgrid,
        lambda tool, address: address in tool.held[int(TARGET)],
    ),
    Vendor(
        # https://docs.aws.amazon.com/ses/latest/dg/quotas.html ; S3 has a limit of its own.
        "Amazon SES",
        "ses",
        LimitedSes,
        lambda: [Quota(RateLimit(1, 1), lambda request: request.path.startswith("/v2/"))],
        _settings_of_ses,
        _contacts_of_ses,
        _off_at_ses,
    ),
    Vendor(
        # https://www.braze.com/docs/api/api_limits/
        "Braze",
        "braze",
        LimitedBraze,
        lambda: [
            Quota(RateLimit(5_000, 60), _by_path("/v2/subscription/status/set")),
            Quota(RateLimit(250_000, 3_600)),
        ],
        lambda tool: {"api_key": braze.KEY, "url": tool.url},
        _nothing,
        lambda tool, address: tool.groups[TARGET].get(address) == "unsubscribed",
        sizes=(5_000, 10_000),
    ),
    _hubspot("HubSpot, Enterprise: batch calls", RateLimit(190, 10), 1_000_000, _nothing),
    _hubspot(
        "HubSpot, Starter: single calls",
        RateLimit(100, 10),
        250_000,
        _single_calls,
        (6_000, 12_000),
    ),
)
