"""Causes of incidents of the service itself, of its mail, links and senders."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import timedelta

from flask import g

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import Unavailable
from preference_center.core.links import Links
from preference_center.core.links.tokens import Link
from preference_center.core.occurrences import Occurrence
from preference_center.destinations.store.samples import load_due_emails
from preference_center.inbound.mail import is_our_recipient
from preference_center.infra import occurrences
from preference_center.infra.config_sections import Mailboxes
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.job_queue import rq_queue
from preference_center.infra.occurrences import MIN_UNVERIFIED
from preference_center.infra.outbox import MIN_NEWEST, enqueue_emails
from preference_center.infra.redis import connect_redis
from preference_center.ledger.spool import Spool, SpoolFolder
from preference_center.ledger.spool.frames import encode_frame
from preference_center.ledger.spool.recorder import EXTENSION_KEY, SpoolWriter
from preference_center.monitoring import gauges, measure
from preference_center.monitoring.measure import Heartbeat
from preference_center.monitoring.rules.notices import Alert, AlertKind
from preference_center.monitoring.store import begin_alerts, list_alerts
from preference_center.rights import webhooks
from preference_center.rights.erasure import journal
from preference_center.web.api import keys
from preference_center.web.pages.rendering import _COUNTED
from tests.in_force import put_in_force
from tests.infra.emails import outgoing_email
from tests.infra.smtp.sending import work as send_due
from tests.infra.smtp.stub import SmtpStub, run_smtp_stub
from tests.monitoring.scene import HOUSEKEEPING, SOON, TICK, Scene
from tests.rights.asking import ask
from tests.rights.erasing import erase, store
from tests.rights.test_company_webhooks import SECRET
from tests.web.api.sender import Sender, make_sender
from workers import jobs, scheduler
from workers.worker import make_worker

JANE = parse_address("jane@acme.example.com", Channel.EMAIL)


def away(scene: Scene) -> None:
    def refuse(_work: object) -> None:
        raise Unavailable("away")

    scene.patch.setattr(measure, "run_in_transaction", refuse)
    scene.series[TICK] = "0x40"


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


def send_emails(scene: Scene, url: str, count: int = 1) -> None:
    """Some are enqueued, and tried as often as a worker does in 16 minutes."""
    scene.use(
        smtp_url=url,
        mail_from="choices@example.com",
        alert_email="staff@example.com",
    )
    server = services().settings.mail_server
    assert server is not None
    put_in_force(scene.app)
    enqueue_emails([outgoing_email() for _ in range(count)])
    ends_at = scene.clock() + SOON
    while scene.clock() < ends_at:
        send_due(server)
        scene.clock.advance(timedelta(minutes=2))


def no_mail_server(scene: Scene) -> None:
    send_emails(scene, "smtp://127.0.0.1:1?starttls=0")


def mail_server_that_refuses(scene: Scene) -> None:
    stub = SmtpStub(rcpt=["550 no"] * 2 * MIN_NEWEST)
    port = scene.at_the_end.enter_context(run_smtp_stub(stub))
    send_emails(scene, f"smtp://127.0.0.1:{port}?starttls=0", MIN_NEWEST)
    assert not run_in_transaction(lambda c: load_due_emails(c, scene.clock()))[1]


def of_another_ring(scene: Scene, key_id: str) -> Links:
    """Links of a key that this service lacks: its id, or its secret."""
    put_in_force(scene.app)
    return replace(services().links, ring=[(key_id, bytes(32))])


def click(scene: Scene, links: Links, problem: str, times: int = 1) -> None:
    for _ in range(times):
        token = links.create_token(Link(JANE, "acme.offers", "spring", scene.clock()))
        g.pop(_COUNTED, None)  # the scene's context is that of all requests
        assert scene.app.test_client().post(f"/u/{token}").status_code == 404
    count_problems(scene, problem, times)


def count_problems(scene: Scene, problem: str, times: int) -> None:
    counter = f'preference_center_link_key_problems_total{{problem="{problem}"}}'
    scene.series[counter] = f"0x14 {times}x30"


def removed_link_key(scene: Scene) -> None:
    click(scene, of_another_ring(scene, "gone"), "unknown")


def other_link_secret(scene: Scene) -> None:
    links = of_another_ring(scene, services().links.newest_key_id)
    click(scene, links, "signature", MIN_UNVERIFIED)


def altered_link(scene: Scene) -> None:
    click(scene, of_another_ring(scene, services().links.newest_key_id), "signature")


def unknown_mail_address(scene: Scene) -> None:
    link = Link(JANE, "acme.offers", "spring", scene.clock())
    local = of_another_ring(scene, "gone").create_mailto_token(link, bytes(32))
    for _ in range(MIN_UNVERIFIED):
        assert not is_our_recipient(services().links, Mailboxes(), f"{local}@mail.example.com")
    count_problems(scene, "mailto", MIN_UNVERIFIED)


def failing_job(scene: Scene) -> None:
    scene.patch.setattr(jobs, "verify", lambda *_: 1 / 0)
    services().queue.enqueue_verify(1, "contacts")
    scene.worker.register_death()  # type: ignore[no-untyped-call]
    scene.worker.work(burst=True, logging_level="WARNING")
    scene.worker.register_birth()  # type: ignore[no-untyped-call]
    scene.series['preference_center_jobs_failed_total{task="verify"}'] = "0x10 1+1x30"


def deadly_job(scene: Scene) -> None:
    """It kills the worker that takes it; four minutes later another one misses it."""
    scene.use(alert_email="staff@example.com")
    scene.patch.setattr(jobs, "verify", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    services().queue.enqueue_verify(1, "contacts")
    if not (killed := os.fork()):
        make_worker(connect_redis(services().settings.redis_url)).work(burst=True)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == -signal.SIGKILL
    with connect_redis(services().settings.redis_url) as connection:
        started = rq_queue(connection, "lists").started_job_registry
        (running,) = connection.zrange(started.key, 0, -1)
        connection.zadd(started.key, {running: 1})
    scene.worker.run_maintenance_tasks()  # type: ignore[no-untyped-call]
    (stored,) = run_in_transaction(list_alerts)
    assert stored[0] == Alert(AlertKind.JOBS_FAIL, "verify")
    occurrences.note(Occurrence.JOB_FAILED, "verify")  # the one that is stored was taken
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


def company_webhook(scene: Scene) -> None:
    scene.use(rights_webhook_url="http://127.0.0.1:1/hook", rights_webhook_secret=SECRET)
    ask()
    ends_at = scene.clock() + SOON
    while scene.clock() < ends_at:
        until = scene.clock() + timedelta(seconds=5)
        webhooks.send_due_webhooks(until=until, stop=lambda: False)
        scene.clock.advance(timedelta(minutes=6))


def restored(scene: Scene) -> None:
    scene.use(erasure_journal=str(scene.folder / "journal"))
    (scene.folder / "journal").mkdir()
    scene.at_the_end.callback(scene.app.extensions.pop, journal.EXTENSION_KEY, None)
    journal.start_journal()
    store()
    erase()
    scene.execute("DELETE FROM erasure_journal")
    scene.app.extensions.pop(journal.EXTENSION_KEY, None)


def request_due_soon(scene: Scene) -> None:
    ask()
    scene.clock.advance(timedelta(days=29))
