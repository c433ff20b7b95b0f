"""Opt-outs delivered by real SMTP and LMTP to the receiver."""

from __future__ import annotations

import smtplib
from base64 import b32decode, b32encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from dev.processes import wait_until
from tests.clock import START
from tests.inbound.mail.fixtures import MakeTo
from tests.inbound.mail.mails import DOMAIN, apple, outlook, receiving, send
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask

OUT = ("opted_out", "acme.offers")


@pytest.mark.parametrize("compose", [outlook, apple])
def test_what_clients_send_opts_out_of_the_topic(
    smtp: int, to: str, ledger: Ledger, allowed: Callable[..., bool], compose: Callable[..., bytes]
) -> None:  # CLIENTS, RULES A11
    assert allowed("jane.doe@example.com")
    assert send(smtp, compose(to), to) == {}
    assert ledger.kinds() == [OUT]
    assert not allowed("jane.doe@example.com")


def test_the_event_holds_the_proof_and_nothing_personal(
    smtp: int, to: str, ledger: Ledger
) -> None:  # I8
    send(smtp, apple(to), to)
    (event,) = ledger.events()
    assert (event["source"], event["actor"], event["own"]) == ("mailto", "recipient", True)
    assert event["evidence"] == {"method": "mailto", "key_id": "l1", "issued_on": "2026-11-21"}
    assert event["received_at"] == START


def test_a_repeat_adds_nothing(smtp: int, to: str, ledger: Ledger) -> None:  # I7
    send(smtp, outlook(to), to)
    before = ledger.rows()
    send(smtp, outlook(to), to)
    send(smtp, apple(to.upper()), to.upper(), to)
    assert ledger.rows() == before


def test_the_writer_does_not_decide_who(
    smtp: int, to: str, store: Callable[[str], None], allowed: Callable[..., bool]
) -> None:  # RULES A11
    store("jane.doe@example.com")
    store("victim@example.com")
    send(smtp, outlook(to, sender="victim@example.com"), to, sender="victim@example.com")
    assert allowed("victim@example.com")
    assert not allowed("jane.doe@example.com")


def test_a_mail_with_no_sender_counts(smtp: int, to: str, ledger: Ledger) -> None:
    # RFC 3834 4: what a machine sends comes from <>
    send(smtp, apple(to), to, sender="<>")
    assert ledger.kinds() == [OUT]


def flipped(to: str) -> str:
    raw = bytearray(b32decode(to.partition("@")[0].upper()))
    raw[9] ^= 1  # somebody else's digest
    return f"{b32encode(raw).decode().lower()}@{DOMAIN}"


def test_a_recipient_without_a_token_of_ours_is_refused_before_the_mail(
    smtp: int, to: str, ledger: Ledger
) -> None:  # RULES A12
    before = ledger.rows()
    others = [f"bounce-17@{DOMAIN}", flipped(to), "jane.doe@example.com", f"postmaster@{DOMAIN}"]
    answers = set()
    for other in others:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(smtp, apple(to), other)
        answers.add(refused.value.recipients[other])
    assert answers == {(550, b"5.1.1 No such address here")}
    assert ledger.rows() == before


def test_of_several_recipients_those_with_a_token_count(
    smtp: int, make_to: MakeTo, ledger: Ledger
) -> None:
    mine, all_of_it = make_to(), make_to(scope="all_marketing")
    refused = send(smtp, outlook(mine), mine, "someone@example.com", all_of_it)
    assert set(refused) == {"someone@example.com"}
    assert sorted(ledger.kinds()) == [("opted_out", "acme.offers"), ("opted_out", "all_marketing")]


def test_there_is_a_bound_on_recipients(smtp: int, to: str, ledger: Ledger) -> None:
    with smtplib.SMTP("127.0.0.1", smtp, local_hostname="mx.example.net") as client:
        client.ehlo()
        client.mail("jane.doe@example.com")
        codes = [client.rcpt(to)[0] for _ in range(101)]
        assert codes == [250] * 100 + [452]
        assert client.data(b"")[0] == 250
    assert ledger.kinds() == [OUT]


def test_lmtp_answers_each_recipient(
    app: Flask, make_to: MakeTo, ledger: Ledger
) -> None:  # RFC 2033 4.2
    first, second = make_to(), make_to("paul@example.com")
    with receiving(app, "lmtp") as port, smtplib.LMTP("127.0.0.1", port) as client:
        client.ehlo("mx.example.net")
        assert client.docmd("EHLO", "x")[0] == 500
        for _ in range(2):  # a session carries many mails
            client.mail("<>")
            codes = [client.rcpt(to)[0] for to in (first, "bounces@example.com", second)]
            assert codes == [250, 550, 250]
            assert client.data(outlook(first, sender="paul@example.com"))[0] == 250
            assert client.getreply()[0] == 250
        assert client.noop()[0] == 250
    assert ("opted_out", "acme.offers") in ledger.kinds()


def test_it_is_acknowledged_only_when_committed(
    smtp: int, to: str, ledger: Ledger, database_url: str
) -> None:  # I1
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
        answer = pool.submit(send, smtp, outlook(to), to)
        assert wait_until(lambda: _waits(other), 20)
        assert not answer.done()
        other.rollback()
        assert answer.result(20) == {}
    assert ledger.kinds() == [OUT]


def _waits(connection: psycopg.Connection[Any]) -> bool:
    query = """SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'event'::regclass
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    return connection.execute(query).fetchone() is not None


def test_what_nobody_expected_is_answered_with_451(
    smtp: int, to: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:  # I1: no 5xx may lose an opt-out
    def fail(*_: object, **_named: object) -> None:
        raise RuntimeError(to)

    with monkeypatch.context() as broken:
        broken.setattr("preference_center.inbound.smtp_server.ingest_mail", fail)
        with pytest.raises(smtplib.SMTPDataError) as error:
            send(smtp, outlook(to), to)
    assert error.value.smtp_code == 451
    assert to not in str(error.value.smtp_error)
    send(smtp, outlook(to), to)
    assert ledger.kinds() == [OUT]


@pytest.mark.parametrize(
    "body",
    [b"x" * 40_000, b"\r\n." * 3, b"a\nb\n.\nc", b"\xff\x00\r\n", b"." * 2000, b"\r" * 3000],
    ids=["long line", "dots", "bare LF", "binary", "line of dots", "bare CR"],
)
def test_an_untidy_body_loses_no_opt_out(smtp: int, to: str, ledger: Ledger, body: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", smtp, local_hostname="mx.example.net") as client:
        client.ehlo()
        client.mail("jane.doe@example.com")
        client.rcpt(to)
        client.docmd("DATA")
        client.send(outlook(to) + body.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        assert client.getreply()[0] == 250
        assert client.noop()[0] == 250
    assert ledger.kinds() == [OUT]


def test_a_bare_line_feed_smuggles_nothing_in(
    smtp: int, to: str, make_to: MakeTo, ledger: Ledger
) -> None:  # RFC 5321 4.1.1.4
    other = make_to("paul@example.com")
    inner = f"\n.\nMAIL FROM:<x@example.com>\r\nRCPT TO:<{other}>\r\nDATA\r\n\r\n"
    with smtplib.SMTP("127.0.0.1", smtp, local_hostname="mx.example.net") as client:
        client.ehlo()
        client.mail("jane.doe@example.com")
        client.rcpt(to)
        client.docmd("DATA")
        client.send(outlook(to) + inner.encode() + b"\r\n.\r\n")
        assert client.getreply()[0] == 250
        assert client.noop()[0] == 250
    assert ledger.kinds() == [OUT]


def test_a_mail_beyond_the_limit_is_refused_and_the_session_goes_on(
    smtp: int, to: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preference_center.inbound.smtp_server.MAX_MAIL_BYTES", 1024 * 1024)
    with smtplib.SMTP("127.0.0.1", smtp, local_hostname="mx.example.net", timeout=60) as client:
        client.ehlo()
        assert client.mail("jane.doe@example.com", [f"SIZE={2 * 1024 * 1024}"])[0] == 552
        client.mail("jane.doe@example.com")
        client.rcpt(to)
        client.docmd("DATA")
        client.send((b"x" * 70 + b"\r\n") * 16_000 + b".\r\n")
        assert client.getreply() == (552, b"5.3.4 Message too big")
        assert ledger.kinds() == []
        client.sendmail("jane.doe@example.com", [to], outlook(to))
    assert ledger.kinds() == [OUT]


def test_a_client_that_hangs_up_before_the_end_opts_nobody_out(
    smtp: int, to: str, ledger: Ledger
) -> None:
    client = smtplib.SMTP("127.0.0.1", smtp, local_hostname="mx.example.net")
    client.ehlo()
    client.mail("jane.doe@example.com")
    client.rcpt(to)
    client.docmd("DATA")
    client.send(outlook(to))
    client.close()
    assert send(smtp, outlook(to), to) == {}
    assert len(ledger.events()) == 1


def test_too_many_connections_get_a_temporary_failure(
    smtp: int, to: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preference_center.inbound.smtp_server.MAX_SESSIONS", 1)
    with smtplib.SMTP("127.0.0.1", smtp, local_hostname="mx.example.net") as client:
        client.ehlo()
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            smtplib.SMTP("127.0.0.1", smtp)
        assert refused.value.smtp_code == 421
        client.sendmail("jane.doe@example.com", [to], outlook(to))
    assert ledger.kinds() == [OUT]


def test_nothing_but_receiving_is_offered(smtp: int) -> None:
    with smtplib.SMTP("127.0.0.1", smtp, local_hostname="mx.example.net") as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.docmd("EXPN", "staff")[0] == 502
        known, unknown = client.verify("jane.doe@example.com"), client.verify("who@example.com")
        assert known[0] == unknown[0] == 252
        assert client.docmd("DATA")[0] == 503


def test_nobody_s_address_is_logged(
    smtp: int, to: str, capfd: pytest.CaptureFixture[str]
) -> None:  # I12
    send(smtp, outlook(to), to)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(smtp, outlook(to), "who@example.com")
    logged = "".join(capfd.readouterr())
    assert "example.com" not in logged
    assert to.partition("@")[0] not in logged
