"""Opt-outs by mail to the real process, while what it stands on goes away (I1)."""

from __future__ import annotations

import re
import signal
import smtplib
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from dev.engines import Engines
from dev.processes import PROC, wait_until
from dev.server import free_port
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import Link
from preference_center.infra.context import services
from tests.faults.service import PATIENCE, TOPIC, Process, Service
from tests.faults.tool import SlowReceiver
from tests.inbound.mail.mails import DOMAIN, apple, outlook, send
from tests.inbound.rules.reports import dsn, failed

JANE, PAUL = "jane@example.com", "paul@example.com"
REPORTS = "bounces@acme.example"
MEBIBYTE = 1024 * 1024


@pytest.fixture
def port(service: Service) -> int:
    """Where `service.start("mail")` will receive SMTP."""
    port = free_port()
    given = {
        "mail_receiver_port": port,
        "mail_receiver_protocol": "smtp",
        "report_addresses": REPORTS,
        "unauthenticated_reports": "accept",  # or no event tells what was taken
    }
    service.settings = service.settings.model_copy(update=given)
    return port


def start(service: Service, port: int) -> Process:
    process = service.start("mail")
    assert wait_until(lambda: _answers(port), PATIENCE), process.log.read_text()
    return process


def _answers(port: int) -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="mx.example.net", timeout=5) as client:
            return client.noop()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


def to(service: Service, address: str) -> str:
    link = Link(parse_address(address, Channel.EMAIL), TOPIC, "", datetime.now(UTC))
    with service.app.app_context():
        digest = services().keys.exact_digest(link.address)
        return f"{services().links.create_mailto_token(link, digest)}@{DOMAIN}"


def test_outlook_and_apple_opt_out_while_redis_is_down_and_it_is_spread_after(
    service: Service, own_engines: Engines, tool: SlowReceiver, port: int
) -> None:  # I1, I3, CLIENTS
    own_engines.redis.stop()
    for name in ("worker", "scheduler"):
        service.start(name)
    start(service, port)
    jane, paul = to(service, JANE), to(service, PAUL)

    assert send(port, outlook(jane, JANE), jane, sender=JANE) == {}
    assert send(port, apple(paul.upper(), PAUL), paul.upper(), sender="<>") == {}

    assert service.rows("SELECT count(*) FROM suppression WHERE active") == [(2,)]
    assert not tool.off
    own_engines.redis.start()
    assert wait_until(lambda: set(tool.off) == {JANE, PAUL}, PATIENCE)


def test_while_the_database_is_away_the_sender_has_to_retry(
    service: Service, own_engines: Engines, port: int
) -> None:  # I1
    start(service, port)
    jane = to(service, JANE)
    own_engines.database.stop()
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(port, apple(jane, JANE), jane, sender=JANE)
    assert refused.value.smtp_code == 451
    own_engines.database.start()
    assert send(port, apple(jane, JANE), jane, sender=JANE) == {}
    assert service.rows("SELECT kind FROM event") == [("opted_out",)]


def test_started_before_the_database_it_defers_and_then_receives(
    service: Service, own_engines: Engines, port: int
) -> None:  # I1
    jane = to(service, JANE)
    own_engines.database.stop()
    start(service, port)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(port, outlook(jane, JANE), jane, sender=JANE)
    assert refused.value.smtp_code == 451
    own_engines.database.start()
    assert send(port, outlook(jane, JANE), jane, sender=JANE) == {}


def test_asked_to_stop_it_answers_the_mail_in_hand_and_takes_no_other(
    service: Service, port: int
) -> None:
    process = start(service, port)
    jane = to(service, JANE)
    with socket.create_connection(("127.0.0.1", port)) as idle:
        idle.settimeout(PATIENCE)
        assert idle.recv(100).startswith(b"220")
        client = smtplib.SMTP("127.0.0.1", port, local_hostname="mx.example.net")
        client.ehlo()
        client.mail(JANE)
        client.rcpt(jane)
        assert client.docmd("DATA")[0] == 354
        process.signal(signal.SIGTERM)
        assert idle.recv(100).startswith(b"421")
        client.send(outlook(jane, JANE) + b"\r\n.\r\n")
        assert client.getreply()[0] == 250
        client.close()
    assert process.popen.wait(PATIENCE) == 0
    assert service.rows("SELECT kind FROM event") == [("opted_out",)]


def test_asked_to_stop_while_it_starts_it_stops(service: Service, port: int) -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # as it will by itself
    try:
        process = service.start("mail")
        process.signal(signal.SIGTERM)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert process.popen.wait(PATIENCE) == 0


def test_without_a_port_it_waits_to_be_stopped_and_is_no_alarm(service: Service) -> None:
    port = free_port()
    service.extra = {**service.extra, "INTERNAL_PORT": str(port)}
    process = service.start("mail")
    assert wait_until(lambda: "switched_off" in process.log.read_text(), PATIENCE)
    for path in ("livez", "readyz", "metrics"):
        response = httpx.get(f"http://127.0.0.1:{port}/{path}")
        assert (response.status_code, response.content) == (200, b"")
    process.signal(signal.SIGTERM)
    assert process.popen.wait(PATIENCE) == 0


@pytest.mark.skipif(not PROC, reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("line", [b"x" * 70 + b"\r\n", b"x" * 72], ids=["lines", "no line's end"])
def test_a_mail_of_50_mb_takes_no_memory(service: Service, port: int, line: bytes) -> None:
    process = start(service, port)
    jane = to(service, JANE)
    before = peak(process)
    with smtplib.SMTP("127.0.0.1", port, local_hostname="mx.example.net") as client:
        client.ehlo()
        client.mail(JANE)
        client.rcpt(jane)
        client.docmd("DATA")
        for _ in range(50):
            client.send(line * (MEBIBYTE // 72))
        client.send(b"\r\n.\r\n")
        assert client.getreply()[0] == 250
    assert peak(process) - before < 16 * MEBIBYTE
    assert service.rows("SELECT kind FROM event") == [("opted_out",)]


@pytest.mark.skipif(not PROC, reason="reads the peak of memory from /proc")
def test_a_report_of_50_mb_that_is_unclear_waits_for_review(service: Service, port: int) -> None:
    process = start(service, port)
    before = peak(process)
    with smtplib.SMTP("127.0.0.1", port, local_hostname="mx.example.net") as client:
        client.ehlo()
        client.mail("")
        client.rcpt(REPORTS)
        client.docmd("DATA")
        client.send(b"From: mailer-daemon@example.net\r\n\r\nIt broke.\r\n")
        for _ in range(50):
            client.send((b"x" * 70 + b"\r\n") * (MEBIBYTE // 72))
        client.send(b"\r\n.\r\n")
        assert client.getreply()[0] == 250
    assert peak(process) - before < 32 * MEBIBYTE
    ((size,),) = service.rows("SELECT size FROM review_queue")
    assert size > 49 * MEBIBYTE


def test_killed_at_any_moment_it_has_acknowledged_nothing_that_is_lost(
    service: Service, port: int
) -> None:  # I1
    taken: set[str] = set()
    for attempt in range(2):
        process = start(service, port)
        killer = threading.Timer(0.1 + 0.3 * attempt, process.signal, [signal.SIGKILL])
        killer.start()
        for number in range(10_000):
            address = f"p{attempt}.{number}@example.com"
            try:
                send(port, dsn(failed(address)), REPORTS, sender="<>")
            except (OSError, smtplib.SMTPException):
                break
            taken.add(address)
        killer.join()
        process.popen.wait(PATIENCE)
    assert taken
    with service.app.app_context():
        keys = services().keys
        digests = {keys.exact_digest(parse_address(address, Channel.EMAIL)) for address in taken}
    stored = service.rows(
        "SELECT a.digest FROM event e JOIN address a ON a.id = e.address_id"
        " WHERE e.kind = 'bounced'"
    )
    assert digests <= {bytes(digest) for (digest,) in stored}


def peak(process: Process) -> int:
    """The most memory that the process has held, in bytes."""
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024
