"""Incidents, each with its cause and the alerts that tell of it, with what their command shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from preference_center.core.deadlines import AT_RISK, TARGET
from tests.monitoring.causes import (
    altered_link,
    away,
    company_webhook,
    crash_loop,
    dead_process,
    deadly_job,
    failing_job,
    full_spool,
    key_without_the_type,
    mail_server_that_refuses,
    no_housekeeping,
    no_mail_server,
    no_redis,
    no_scheduler,
    no_worker,
    other_link_secret,
    removed_link_key,
    request_due_soon,
    restored,
    revoked_key,
    slow_clock,
    unknown_mail_address,
    unknown_type,
)
from tests.monitoring.scene import SOON, Scene
from tests.monitoring.server_causes import (
    expired_database,
    expired_mail_server,
    full_database,
    full_disk,
    redis_replica,
    redis_without_connections,
)
from tests.monitoring.tool_causes import (
    accept,
    drift,
    not_readable,
    not_understood,
    rate_limit,
    refused_address,
    refused_again,
    unprocessed,
    unverified,
    wrong_account,
)

Cause = Callable[[Scene], None]
DOWN = "crm: POST /v1: 503"
INCIDENTS: dict[str, tuple[Cause, dict[str, str]]] = {
    "a vendor's key is revoked, or its certificate is wrong": (
        lambda scene: scene.wait("active", SOON, reason="refused: 401", retry=True),
        {"OptOutsWait": "broken: refused: 401"},
    ),
    "a vendor is down for 40 hours": (
        lambda scene: scene.wait("active", AT_RISK + timedelta(hours=4), reason=DOWN, retry=True),
        {"OptOutsWait": f"broken: {DOWN}", "WorkAtRisk": DOWN},
    ),
    "a pause is forgotten for two days": (
        lambda scene: scene.wait("paused", TARGET),
        {"OptOutsWait": "\tpaused\n", "WorkLate": "\tpaused\t1 pending"},
    ),
    "a rate limit lets a tenth through": (
        rate_limit,
        {"OptOutsWait": "slowed by the tool: 2 a minute; the last pending opt-out at this rate by"},
    ),
    "a tool keeps nothing": (drift, {"DriftRepeats": "drift repeats\tlast at"}),
    "a tool stops while one refused address waits": (
        refused_address,
        {"AddressesRefused": "refused by the tool\t1 of them"},
    ),
    "a destination is the wrong account": (
        wrong_account,
        {"ToolKnowsNobody": "absent there\t100%"},
    ),
    "a destination that holds nobody is accepted": (
        lambda scene: accept(scene, wrong_account, "tool_knows_nobody"),
        {},
    ),
    "a refused address is accepted": (
        lambda scene: accept(scene, refused_address, "addresses_refused"),
        {},
    ),
    "an address is refused after others were accepted": (
        refused_again,
        {"AddressesRefused": "accepted\taddresses_refused"},
    ),
    "reading a tool fails while pushes work": (
        not_readable,
        {"ReadingFails": "no right to list"},
    ),
    "a tool's webhooks fail their proof": (
        unverified,
        {"WebhooksUnverified": 'destination="crm",kind="webhook",outcome="unverified"'},
    ),
    "what a tool reports can't be parsed by us": (
        unprocessed,
        {"VendorEventsWait": "webhooks to process\t1: the connector failed on the tool's response"},
    ),
    "what a tool reports is not understood": (
        not_understood,
        {"VendorEventsWait": "events of an unknown type\tmoved_house: 1"},
    ),
    "the company's program refuses webhooks": (
        company_webhook,
        {"CompanyWebhooksFail": '"webhooks_due":1'},
    ),
    "the mail server is down": (no_mail_server, {"EmailStuck": "ServerUnavailable"}),
    "the mail server refuses us": (mail_server_that_refuses, {"EmailStuck": "PermanentFailure"}),
    "the certificate of the mail server has expired": (
        expired_mail_server,
        {"EmailStuck": "certificate has expired"},
    ),
    "a job fails every time": (
        failing_job,
        {"JobsFail": 'preference_center_jobs_failed_total{task="verify"}'},
    ),
    "a job kills its worker every time": (
        deadly_job,
        {"JobsFail": 'preference_center_jobs_failed_total{task="verify"}'},
    ),
    "an old key is missing from LINK_KEYS": (
        removed_link_key,
        {"LinksFail": 'preference_center_link_key_problems_total{problem="unknown"}'},
    ),
    "links are signed by another secret": (
        other_link_secret,
        {"LinksUnverified": 'preference_center_link_key_problems_total{problem="signature"}'},
    ),
    "a stranger opens one altered link": (altered_link, {}),
    "addresses for opt-outs by mail are of no key": (
        unknown_mail_address,
        {"LinksUnverified": 'preference_center_link_key_problems_total{problem="mailto"}'},
    ),
    "no worker is left": (no_worker, {"NoWorker": "no_worker"}),
    "Redis is gone": (no_redis, {"RedisUnusable": "redis_unusable\tunreachable"}),
    "Redis has no connection left": (
        redis_without_connections,
        {"RedisUnusable": "redis_unusable\ttoo_many_clients"},
    ),
    "Redis has become a replica": (
        redis_replica,
        {"RedisUnusable": "redis_unusable\trefuses_writes"},
    ),
    "the scheduler crash-loops": (crash_loop, {"SchedulerSilent": "1 pending"}),
    "an error of ours stops the deletion of what expired": (
        no_housekeeping,
        {"HousekeepingFails": "housekeeping_fails"},
    ),
    "the scheduler is dead": (no_scheduler, {"SchedulerSilent": "1 pending"}),
    "PostgreSQL is stopped": (away, {"DatabaseUnavailable": "database_unavailable\tunreachable"}),
    "the certificate of PostgreSQL has expired": (
        expired_database,
        {"DatabaseUnavailable": "certificate verify failed"},
    ),
    "the disk of PostgreSQL is full": (
        full_database,
        {"DatabaseUnavailable": "database_unavailable\tdisk_full"},
    ),
    "the disk of a spool is full": (full_disk, {"DiskNearlyFull": "writable: yes"}),
    "a spool is full": (
        full_spool,
        {
            "SpoolNotEmpty": "waiting: 1",
            "SpoolNotWritable": "writable: no",
            "OptOutsRefused": "writable: no",
        },
    ),
    "a message type was removed": (unknown_type, {"UnknownMessageType": "newsletter.gone"}),
    "a sender's key is revoked": (revoked_key, {"SenderRefused": "shop"}),
    "a sender's key lacks a message type": (key_without_the_type, {"SenderRefused": "shop"}),
    "the mail receiver is dead": (dead_process, {"ProcessDown": "waiting: 0"}),
    "a clock is ten minutes behind": (slow_clock, {"ClockDiffers": "clock_differs"}),
    "a backup was restored": (restored, {"ErasureJournalClosed": "flask erasures replay"}),
    "a backup without the last opt-outs was restored": (
        lambda scene: scene.execute("INSERT INTO history_loss (found_at) VALUES (now())"),
        {"HistoryLost": "history_lost"},
    ),
    "a request of a data subject is due tomorrow": (
        request_due_soon,
        {"RightsDueSoon": "law on 24 Dec 2026"},
    ),
    "nothing": (lambda _: None, {}),
}
