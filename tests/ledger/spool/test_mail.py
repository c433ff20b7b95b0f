"""An opt-out by mail while the database is away: 250, on disk, then recorded."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from tests.clock import START, Clock
from tests.inbound.mail.mails import DOMAIN, outlook, receiving, send
from tests.ledger.spool.conftest import ADDRESS, TOPIC, Database, Replay
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.ledger.spool.replayer import SpoolReplayer


@pytest.fixture
def to(app: Flask, clock: Clock) -> str:
    """Where the header of Jane's mail has her write to."""
    from preference_center.core.links.tokens import Link
    from preference_center.infra.context import services

    link = Link(parse_address(ADDRESS, Channel.EMAIL), TOPIC, "", clock() - timedelta(days=3))
    with app.app_context():
        digest = services().keys.exact_digest(link.address)
        return f"{services().links.create_mailto_token(link, digest)}@{DOMAIN}"


@pytest.fixture
def port(app: Flask, replayer: SpoolReplayer) -> Iterator[int]:
    with receiving(app, "smtp") as port:
        yield port


def test_is_received_and_recorded_at_its_own_time(
    port: int, to: str, ledger: Ledger, database: Database, replay: Replay, clock: Clock
) -> None:  # I1
    with database.away():
        assert send(port, outlook(to), to, sender=ADDRESS) == {}
    clock.advance(timedelta(hours=1))
    assert replay().recorded == 1
    [event] = ledger.events()
    assert (event["kind"], event["scope"], event["source"]) == ("opted_out", TOPIC, "mailto")
    assert event["received_at"] == START
    assert event["evidence"]["issued_on"] == "2026-11-21"


def test_nothing_readable_is_on_disk(
    port: int, to: str, database: Database, folder: Path
) -> None:  # I12
    with database.away():
        send(port, outlook(to), to, sender=ADDRESS)
    [path] = folder.glob("*.spool")
    content = path.read_bytes().lower()
    for secret in (ADDRESS, "jane", "example", to.partition("@")[0], TOPIC):
        assert secret.encode() not in content


def test_replayed_again_after_a_crash_it_is_recorded_once(
    port: int,
    to: str,
    ledger: Ledger,
    database: Database,
    replay: Replay,
    folder: Path,
    clock: Clock,
) -> None:  # I1
    with database.away():
        send(port, outlook(to), to, sender=ADDRESS)
    [path] = folder.glob("*.spool")
    copy = path.read_bytes()
    clock.advance(timedelta(hours=1))
    replay()
    (folder / "1-00.spool").write_bytes(copy)
    before = ledger.rows()
    assert replay().recorded == 1
    assert ledger.rows() == before


def test_of_somebody_unknown_it_waits_for_the_address(
    app: Flask, port: int, to: str, ledger: Ledger, database: Database, replay: Replay
) -> None:
    from preference_center.inbound.opt_outs import resolve_pending

    with database.away():
        send(port, outlook(to, "else@example.com"), to, sender="else@example.com")
    assert replay().recorded == 1
    assert ledger.events() == []
    with app.app_context():
        assert resolve_pending([parse_address(ADDRESS, Channel.EMAIL)]).recorded == 1
    [event] = ledger.events()
    assert event["received_at"] == START


def test_a_full_spool_has_the_sender_keep_the_mail(
    port: int, to: str, database: Database, replayer: SpoolReplayer, folder: Path
) -> None:  # I1
    (folder / "1-00.rejected").write_bytes(b"x" * replayer.spool.folder.max_bytes)
    with database.away(), pytest.raises(smtplib.SMTPDataError) as refused:
        send(port, outlook(to), to, sender=ADDRESS)
    assert refused.value.smtp_code == 451
