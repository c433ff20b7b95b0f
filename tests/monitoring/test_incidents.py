"""Somebody is told of an incident as docs/monitoring.md says: by Prometheus and by our own alerts.

What is exported goes to the shipped rules, what they measure to our own conditions, and the command
of each alert is run while the incident lasts. Redis, workers, waiting rows, the spool, requests and
the erasure journal are real. Simulated are the outage of the database, the clock and repeated
drift, whose causes other tests have, and counters and `up`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.deadlines import AT_RISK, TARGET
from preference_center.core.errors import Unavailable
from preference_center.core.links import Links
from preference_center.core.links.tokens import Link
from preference_center.core.occurrences import Occurrence
from preference_center.destinations import process
from preference_center.destinations.store.destinations import find_by_name
from preference_center.destinations.store.listings import ListingKind
from preference_center.destinations.store.samples import MIN_NEWEST, load_due_emails
from preference_center.inbound.mail import is_our_recipient
from preference_center.infra import occurrences
from preference_center.infra.config_sections import Mailboxes
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.metrics import render_metrics
from preference_center.infra.outbox import enqueue_emails
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.vendor_events import WebhookSource
from preference_center.ledger import record
from preference_center.ledger.spool import Spool, SpoolFolder
from preference_center.ledger.spool.frames import encode_frame
from preference_center.ledger.spool.recorder import EXTENSION_KEY, SpoolWriter
from preference_center.monitoring import gauges, measure
from preference_center.monitoring.gauges import DatabaseCollector, HostCollector, QueueCollector
from preference_center.monitoring.measure import Heartbeat
from preference_center.monitoring.rules import Alert, AlertKind, Observation, find_alerts
from preference_center.monitoring.store import begin_alerts
from preference_center.rights.erasure import journal
from preference_center.web.api import keys
from tests.destinations.ingest.steps import ingest_stored, post
from tests.destinations.steps import read, refuse, work
from tests.destinations.two_way_tool import TwoWayTool
from tests.in_force import put_in_force
from tests.infra.emails import outgoing_email
from tests.infra.smtp.sending import at
from tests.infra.smtp.sending import work as send_due
from tests.infra.smtp.stub import SmtpStub, run_smtp_stub
from tests.ledger.changes import change
from tests.monitoring.scene import DOCS, HOUSEKEEPING, ROOT, TICK, Scene
from tests.rights.asking import ask
from tests.rights.erasing import erase, store
from tests.web.api.sender import Sender, make_sender
from workers import jobs, scheduler

ROW = re.compile(r"^\| `([A-Z]\w+)` \| ([^|]+) \|[^|]+\|[^|]+\| `([^`|]+)` \|$", re.MULTILINE)
TABLE = {name: (by_service, command) for name, by_service, command in ROW.findall(DOCS)}
MINUTES = 20
SOON = timedelta(minutes=16)


def away(scene: Scene) -> None:
    def refuse(_work: object) -> None:
        raise Unavailable("away")

    scene.patch.setattr(measure, "run_in_transaction", refuse)


def no_redis(scene: Scene) -> None:
    scene.use(redis_url="redis://127.0.0.1:1/0")


def no_worker(scene: Scene) -> None:
    scene.worker.register_death()  # type: ignore[no-untyped-call]


def no_scheduler(scene: Scene) -> None:
    scene.wait("active", timedelta())
    scene.is_scheduled = False
    del scene.series[TICK], scene.series[HOUSEKEEPING]


def crash_loop(scene: Scene) -> None:
    """What it measures is exported for moments, but no tick completes."""
    scene.wait("active", timedelta())
    del scene.series[TICK], scene.series[HOUSEKEEPING]


def no_housekeeping(scene: Scene) -> None:
    """Own alerts are listed as stored; the log is its look-at."""
    heartbeat = Heartbeat(scene.clock())
    scene.patch.setattr(scheduler, "purge_expired", lambda _: 1 / 0)
    scheduler.keep_house(heartbeat)
    assert heartbeat.housekept_at is None
    scene.housekept_at = scene.clock()
    scene.clock.advance(SOON)
    scene.series[HOUSEKEEPING] = "0x40"
    run_in_transaction(
        lambda c: begin_alerts(c, [Alert(AlertKind.HOUSEKEEPING_FAILS)], scene.clock())
    )


def rate_limit(scene: Scene) -> None:
    scene.wait("active", SOON, reason="crm: POST /v1: HTTP 429", retry=True)
    scene.execute(
        "UPDATE destination SET trouble = 'slowed', trouble_since = %s", scene.clock() - SOON / 2
    )
    scene.execute(
        """INSERT INTO delivery (destination_id, address_id, version, outcome, note, at)
        SELECT id, 1, 1, 'reflected', '', %s FROM destination, generate_series(1, 32)""",
        scene.clock() - SOON / 2,
    )


def drift(scene: Scene) -> None:
    scene.execute(
        "INSERT INTO verification (destination_id, drift, drift_repeated_at) SELECT id, 135, %s"
        " FROM destination",
        scene.clock(),
    )


def crm() -> int:
    destination = run_in_transaction(lambda c: find_by_name(c, services().keys, "crm"))
    assert destination is not None
    return destination.id


def refused_address(scene: Scene) -> None:
    scene.wait("active", timedelta())
    scene.execute("UPDATE sync_state SET outcome = 'refused'")
    scene.clock.advance(TARGET + timedelta(hours=1))


def wrong_account(scene: Scene) -> None:
    scene.wait("active", timedelta())
    for number in range(2, MIN_NEWEST + 2):
        address = parse_address(f"person{number}@example.com", Channel.EMAIL)
        record([change(number, at=scene.clock(), address=address)])
    work(crm(), TwoWayTool())


def not_readable(scene: Scene) -> None:
    scene.wait("active", timedelta())
    work(crm(), tool := TwoWayTool())
    refuse(tool, scene.patch, "scan", DeliveryError("no right to list", permanent=True))
    for _ in range(5):
        read(crm(), tool, ListingKind.SCAN)
        scene.clock.advance(SOON / 4)


def report(scene: Scene, **row: object) -> None:
    """The tool posts a webhook, and a worker takes it."""
    scene.execute("UPDATE destination SET kind = 'sendgrid'")
    post(crm(), row)
    ingest_stored(crm(), TwoWayTool())
    scene.clock.advance(SOON)


def unprocessed(scene: Scene) -> None:
    def fail(_kind: str) -> WebhookSource:
        raise KeyError("email")

    scene.patch.setattr(process, "get_webhook_source", lambda _: Mock(parse=fail))
    report(scene, event="unsubscribe")


def unverified(scene: Scene) -> None:
    scene.execute("UPDATE destination SET kind = 'sendgrid'")
    for _ in range(2):
        assert scene.app.test_client().post("/in/crm", json=[]).status_code == 401
    labels = 'kind="webhook",outcome="unverified",destination="crm"'
    scene.series[f"preference_center_inbound_total{{{labels}}}"] = "_x14 1 2x30"


def not_understood(scene: Scene) -> None:
    report(scene, event="moved_house", email="anna@example.com")


def send_emails(scene: Scene, port: int, count: int = 1) -> None:
    """Some are enqueued, and tried as often as a worker does in 16 minutes."""
    scene.use(
        smtp_url=f"smtp://127.0.0.1:{port}?starttls=0",
        mail_from="choices@example.com",
        alert_email="staff@example.com",
    )
    put_in_force(scene.app)
    enqueue_emails([outgoing_email() for _ in range(count)])
    ends_at = scene.clock() + SOON
    while scene.clock() < ends_at:
        send_due(at(port))
        scene.clock.advance(timedelta(minutes=2))


def no_mail_server(scene: Scene) -> None:
    send_emails(scene, 1)


def mail_server_that_refuses(scene: Scene) -> None:
    stub = SmtpStub(rcpt=["550 no"] * 9)
    send_emails(scene, scene.at_the_end.enter_context(run_smtp_stub(stub)), 3)
    assert not run_in_transaction(lambda c: load_due_emails(c, scene.clock()))[1]


def of_another_ring(scene: Scene, key_id: str) -> Links:
    """Links of a key that this service lacks: its id, or its secret."""
    put_in_force(scene.app)
    return replace(services().links, ring=[(key_id, bytes(32))])


def click(scene: Scene, links: Links, problem: str) -> None:
    token = links.create_token(Link(JANE, "acme.offers", "spring", scene.clock()))
    assert scene.app.test_client().post(f"/u/{token}").status_code == 404
    count_problems(scene, problem)


def count_problems(scene: Scene, problem: str) -> None:
    counter = f'preference_center_link_key_problems_total{{problem="{problem}"}}'
    scene.series[counter] = "0x14 1x30"


def removed_link_key(scene: Scene) -> None:
    click(scene, of_another_ring(scene, "gone"), "unknown")


def other_link_secret(scene: Scene) -> None:
    click(scene, of_another_ring(scene, services().links.newest_key_id), "signature")


def unknown_mail_address(scene: Scene) -> None:
    link = Link(JANE, "acme.offers", "spring", scene.clock())
    local = of_another_ring(scene, "gone").create_mailto_token(link, bytes(32))
    assert not is_our_recipient(services().links, Mailboxes(), f"{local}@mail.example.com")
    count_problems(scene, "mailto")


def failing_job(scene: Scene) -> None:
    scene.patch.setattr(jobs, "verify", lambda *_: 1 / 0)
    services().queue.enqueue_verify(1, "contacts")
    scene.worker.register_death()  # type: ignore[no-untyped-call]
    scene.worker.work(burst=True, logging_level="WARNING")
    scene.worker.register_birth()  # type: ignore[no-untyped-call]
    scene.series['preference_center_jobs_failed_total{task="verify"}'] = "0x10 1+1x30"


def full_spool(scene: Scene) -> None:
    (scene.spool.path / "1-00.spool").write_bytes(encode_frame(b"x", scene.clock()))
    scene.clock.advance(timedelta(minutes=6))
    writer = SpoolFolder(scene.spool.path, 1)
    scene.patch.setitem(scene.app.extensions, EXTENSION_KEY, Spool(writer, SpoolWriter(writer)))
    scene.use(spool_max_bytes=1)
    counter = 'preference_center_opt_outs_total{outcome="refused"}'
    scene.series[counter] = "0x14 5x30"
    occurrences.note(Occurrence.OPT_OUT_REFUSED)


def unknown_type(scene: Scene) -> None:
    put_in_force(scene.app)
    sender = make_sender(scene.app, "shop", message_types=["newsletter.gone"])
    assert not sender.ask("newsletter.gone", "jane@example.com")["allow"]
    counter = 'preference_center_decisions_total{rule="unknown_message_type",allow="false"}'
    scene.series[counter] = "0+1000x40"


def revoked_key(scene: Scene) -> None:
    put_in_force(scene.app)
    refuse_sender(scene, make_sender(scene.app, "shop"), revoke=True)


def key_without_the_type(scene: Scene) -> None:
    put_in_force(scene.app)
    refuse_sender(scene, make_sender(scene.app, "shop", message_types=["newsletter.other"]))


def refuse_sender(scene: Scene, sender: Sender, *, revoke: bool = False) -> None:
    if revoke:
        run_in_transaction(lambda c: keys.revoke_key(c, "shop", scene.clock()))
    question = {"message_type": "receipt", "recipient": "jane@example.com"}
    assert sender.post("/v1/decisions", question).status_code in {401, 403}
    for status, values in (("2xx", "0+90x40"), ("4xx", "0+10x40")):
        labels = f'endpoint="api.post_decisions",status="{status}"'
        scene.series[f"preference_center_http_request_seconds_count{{{labels}}}"] = values


def dead_process(scene: Scene) -> None:
    scene.series['up{job="preference-center",instance="mail:8001"}'] = "0x40"


def slow_clock(scene: Scene) -> None:
    for module in (measure, gauges):
        scene.patch.setattr(module, "measure_clock", lambda: timedelta(minutes=-10))


def restored(scene: Scene) -> None:
    scene.use(erasure_journal=str(scene.folder / "journal"))
    (scene.folder / "journal").mkdir()
    scene.at_the_end.callback(scene.app.extensions.pop, journal.EXTENSION_KEY, None)
    journal.start_journal()
    store()
    erase()
    scene.execute("DELETE FROM erasure_journal")
    scene.app.extensions.pop(journal.EXTENSION_KEY, None)


def lost(scene: Scene) -> None:
    scene.execute("INSERT INTO history_loss (found_at) VALUES (now())")


def request_due_soon(scene: Scene) -> None:
    ask()
    scene.clock.advance(timedelta(days=29))


JANE = parse_address("jane@acme.example.com", Channel.EMAIL)
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
    "the mail server is down": (no_mail_server, {"EmailStuck": "ServerUnavailable"}),
    "the mail server refuses us": (mail_server_that_refuses, {"EmailStuck": "PermanentFailure"}),
    "a job fails every time": (
        failing_job,
        {"JobsFail": 'preference_center_jobs_failed_total{task="verify"}'},
    ),
    "an old key is missing from LINK_KEYS": (
        removed_link_key,
        {"LinksFail": 'preference_center_link_key_problems_total{problem="unknown"}'},
    ),
    "links are signed by another secret": (
        other_link_secret,
        {"LinksFail": 'preference_center_link_key_problems_total{problem="signature"}'},
    ),
    "addresses for opt-outs by mail are of no key": (
        unknown_mail_address,
        {"LinksFail": 'preference_center_link_key_problems_total{problem="mailto"}'},
    ),
    "no worker is left": (no_worker, {"NoWorker": "no_worker"}),
    "Redis is gone": (no_redis, {"RedisUnusable": "redis_unusable\tunreachable"}),
    "the scheduler crash-loops": (crash_loop, {"SchedulerSilent": "1 pending"}),
    "an error of ours stops the deletion of what expired": (
        no_housekeeping,
        {"HousekeepingFails": "housekeeping_fails"},
    ),
    "the scheduler is dead": (no_scheduler, {"SchedulerSilent": "1 pending"}),
    "PostgreSQL is stopped": (away, {"DatabaseUnavailable": "database_unavailable\tunreachable"}),
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
    "a backup without the last opt-outs was restored": (lost, {"HistoryLost": "history_lost"}),
    "a request of a data subject is due tomorrow": (
        request_due_soon,
        {"RightsDueSoon": "law on 24 Dec 2026"},
    ),
    "nothing": (lambda _: None, {}),
}


def own_alerts(scene: Scene) -> set[str]:
    """By the service, once everything has held for long enough."""
    if not scene.is_scheduled:
        return set()
    now, measured = scene.clock(), gauges._measure_or_none()
    seen = Observation(
        now,
        measured,
        measure.measure_host(),
        measure.measure_queue(),
        occurred=occurrences.take(),
        database_away_since=None if measured else now - timedelta(minutes=5),
        ticked_at=now,
        housekept_at=scene.housekept_at or now,
    )
    return {alert.kind.title().replace("_", "") for alert in find_alerts(seen)}


def list_series(scene: Scene) -> Iterator[tuple[str, str]]:
    """What is scraped, the gauges as they are now."""
    collectors = [HostCollector()]
    if scene.is_scheduled:
        collectors += [DatabaseCollector(), QueueCollector()]  # type: ignore[list-item]
    for family in text_string_to_metric_families(render_metrics(collectors).decode()):
        for sample in family.samples if family.type == "gauge" else ():
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            yield f"{sample.name}{{{labels}}}", f"{sample.value}x40"
    yield from scene.series.items()


def require_firing(scene: Scene, folder: Path, names: set[str]) -> None:
    """Ask promtool whether these alerts fire after MINUTES, and no others."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": v} for name, v in list_series(scene)],
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{MINUTES}m",
                "exp_samples": samples,
            }
        ],
    }
    rules = str(ROOT / "deploy/alerts.yml")
    file = folder / "incident.yml"
    file.write_text(yaml.safe_dump({"rule_files": [rules], "tests": [test]}))
    done = subprocess.run(
        ["promtool", "test", "rules", file], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus"
)
@pytest.mark.parametrize("incident", INCIDENTS)
def test_an_incident_is_told_as_documented(incident: str, scene: Scene, tmp_path: Path) -> None:
    # I3
    cause, shown = INCIDENTS[incident]
    cause(scene)
    assert own_alerts(scene) == {
        name for name in shown if TABLE[name][0].startswith(("yes", "of the hosts"))
    }
    require_firing(scene, tmp_path, set(shown))


@pytest.mark.parametrize("incident", INCIDENTS)
def test_what_to_look_at_names_the_cause_while_it_lasts(incident: str, scene: Scene) -> None:
    cause, shown = INCIDENTS[incident]
    cause(scene)
    for name, text in shown.items():
        assert text in scene.look_at(TABLE[name][1])


@pytest.mark.parametrize("command", sorted({command for _, command in TABLE.values()}))
def test_what_to_look_at_works(command: str, scene: Scene) -> None:
    nobody_to_inform = command == "flask alerts test"
    assert ("Error" in scene.look_at(command)) == nobody_to_inform


def test_every_alert_says_what_to_look_at() -> None:
    rules = (ROOT / "deploy/alerts.yml").read_text()
    assert set(re.findall(r"- alert: (\w+)", rules)) == TABLE.keys()
