"""Letters go out through a real mail server, once, in time, and leave no trace."""

from __future__ import annotations

import re
import smtplib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
import structlog
from flask import Flask

from dev.server import free_port
from preference_center.extensions import NAME, services
from preference_center.letters import render
from preference_center.smtp import MailServer, Security
from preference_center.storage import outbox
from preference_center.storage.database import run
from preference_center.storage.outbox import Fate, Letter, LetterKind, post
from tests.clock import START, Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.storage.letters import LINK, LIVES, letter
from tests.workers.mail_server import (
    PASSWORD,
    USER,
    Answers,
    authenticator,
    certificate,
    mail_server,
)
from workers import mail, schedule, smtp
from workers.mail import LEASE, send_due

BRANDED = CATALOGUE.replace(
    'name = "Acme"',
    'name = "Acme"\nsender = "Acme Notizie <Notizie@acme.example>"\n'
    'footer = { it = "Acme S.p.A., Torino", en = "Acme Ltd, Turin" }',
)


@pytest.fixture(autouse=True)
def _context(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    put_in_force(app)
    with app.app_context():
        settings = services().settings.model_copy(
            update={"smtp_url": "smtp://unused.example.com", "mail_from": "choices@example.com"}
        )
        changed = replace(services(), settings=settings, random=Random(1))
        monkeypatch.setitem(app.extensions, NAME, changed)
        yield


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def server(answers: Answers) -> Iterator[MailServer]:
    with mail_server(answers) as port:
        yield at(port)


def at(port: int) -> MailServer:
    return MailServer("127.0.0.1", port, Security.NONE)


def work(server: MailServer) -> int:
    until = services().now() + timedelta(seconds=5)
    return send_due(server, until=until, stop=lambda: False)


def state(letter: Letter) -> tuple[str | None, bool]:
    """The outcome, and whether the text is still there."""
    row = run(
        lambda c: c.execute(
            "SELECT outcome, ciphertext IS NOT NULL FROM outgoing_mail WHERE id = %s", [letter.id]
        ).fetchone()
    )
    assert row
    return row[0], row[1]


def text_and_html(message: EmailMessage) -> tuple[str, str]:
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain
    assert html
    return plain.get_content().replace("\r\n", "\n"), html.get_content()


def rendered(**given: Any) -> EmailMessage:
    """A letter as its reader's program sees it."""
    raw = render(letter(**given), START).as_bytes()
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


# What arrives


def test_a_letter_arrives_as_text_and_as_html_and_is_wiped(
    server: MailServer, answers: Answers
) -> None:
    posted = letter()
    post([posted])
    assert work(server) == 1
    (taken,) = answers.taken
    assert (taken.sender, taken.recipients) == ("choices@example.com", ["jane.doe@example.com"])
    assert taken.message.get_content_type() == "multipart/alternative"
    text, html = text_and_html(taken.message)
    assert f"\n{LINK}\n" in text
    assert re.findall('href="([^"]+)"', html) == [LINK]
    assert state(posted) == (Fate.SENT, False)
    assert work(server) == 0


def test_it_says_that_a_machine_sent_it_and_when(server: MailServer, answers: Answers) -> None:
    posted = letter()
    post([posted])
    work(server)
    message = answers.taken[0].message
    assert message["Auto-Submitted"] == "auto-generated"  # RFC 3834 5
    assert message["Message-ID"] == f"<{posted.id}@example.com>"
    assert message["Date"].datetime == START
    assert message["To"] == "jane.doe@example.com"


def test_it_is_fit_for_any_server_on_its_way(server: MailServer, answers: Answers) -> None:
    post([letter(language="de", values={"link": LINK + "x" * 500})])
    work(server)
    assert answers.taken[0].raw.isascii()
    assert max(map(len, answers.taken[0].raw.split(b"\r\n"))) <= 78  # RFC 5322 2.1.1


@pytest.mark.parametrize("kind", LetterKind)
@pytest.mark.parametrize(
    "language, button",
    [
        ("it", {"one_time_link": "Scegliere che cosa ricevere", "confirm_opt_in": "Confermare"}),
        ("en", {"one_time_link": "Choose what you receive", "confirm_opt_in": "Confirm"}),
        ("de", {"one_time_link": "Auswählen, was Sie erhalten", "confirm_opt_in": "Bestätigen"}),
        ("fr", {"one_time_link": "Choisir ce que vous recevez", "confirm_opt_in": "Confirmer"}),
        ("es", {"one_time_link": "Elegir lo que recibe", "confirm_opt_in": "Confirmar"}),
    ],
)
def test_it_speaks_the_language_of_its_reader(
    kind: LetterKind, language: str, button: dict[str, str]
) -> None:
    values = {"link": LINK} | ({"what": "Notizie"} if kind is LetterKind.CONFIRM_OPT_IN else {})
    message = rendered(kind=kind, language=language, values=values)
    assert message["Content-Language"] == language
    text, html = text_and_html(message)
    assert f'<html lang="{language}">' in html
    for part in (text, html):
        assert button[kind] in part
        assert "2026" in part  # until when
        assert "+01:00" in part


def test_it_tells_what_is_to_be_confirmed() -> None:
    values = {"link": LINK, "what": "Notizie & <Offerte>"}
    text, html = text_and_html(rendered(kind=LetterKind.CONFIRM_OPT_IN, values=values))
    assert "Notizie & <Offerte>" in text
    assert "Notizie &amp; &lt;Offerte&gt;" in html


def test_it_comes_from_its_brand(app: Flask) -> None:
    put_in_force(app, BRANDED)
    message = rendered(brand="acme", language="en")
    assert message["From"] == "Acme Notizie <notizie@acme.example>"
    assert "Acme" in message["Subject"]
    for part in text_and_html(message):
        assert "Acme Ltd, Turin" in part


@pytest.mark.parametrize("brand", [None, "gone"])
def test_one_of_no_single_brand_comes_from_the_general_sender(app: Flask, brand: str) -> None:
    put_in_force(app, BRANDED)
    message = rendered(brand=brand)
    assert message["From"] == "Acme <choices@example.com>"
    assert "Acme S.p.A., Torino" in text_and_html(message)[0]


def test_a_legal_line_that_brands_share_stands_there_once(app: Flask) -> None:
    second = (
        '\n[brands.second]\nname = "Second"\nfooter = {'
        ' it = "Acme S.p.A., Torino", en = "Acme Ltd, Turin" }\n'
    )
    put_in_force(app, BRANDED + second)
    message = render(letter(language="en"), START)
    assert text_and_html(message)[0].count("Acme Ltd, Turin") == 1


def test_it_loads_nothing_and_links_nowhere_else() -> None:
    html = text_and_html(rendered())[1]
    assert not re.search(r"<(?:img|link|script|iframe)|url\(|src=|background=", html)
    assert html.count("http") == 1


# Headers


@pytest.mark.parametrize(
    "name",
    [
        "Müller, Söhne",
        "Acme: <boss@evil.example>",
        'The "Ü" Shop',
        "A very long name of a brand, with commas, and Ümläuts, " * 3,
    ],
)
def test_no_name_of_a_brand_adds_a_sender_or_a_header(app: Flask, name: str) -> None:
    quoted = name.replace('"', '\\"')
    put_in_force(app, CATALOGUE.replace('name = "Acme"', f'name = "{quoted}"'))
    message = rendered(brand="acme")
    (sender,) = message["From"].addresses
    assert sender.addr_spec == "choices@example.com"
    assert message.keys() == rendered().keys()


@pytest.mark.parametrize("value", ["a\r\nBcc: eve@evil.example", "a\nBcc: eve@evil.example\n\nx"])
def test_no_value_gets_into_the_headers(value: str) -> None:
    values = {"link": value, "what": value}
    message = rendered(kind=LetterKind.CONFIRM_OPT_IN, values=values)
    assert message["Bcc"] is None
    assert message.keys() == rendered().keys()


@pytest.mark.parametrize(
    "address",
    [
        '"jane doe"@example.com',
        '"a\\"b, c"@example.com',
        "o'neil+tag@example.com",
        "jane.@example.com",
    ],
)
def test_an_odd_address_is_written_to_as_it_is(
    server: MailServer, answers: Answers, address: str
) -> None:
    posted = letter(address)
    post([posted])
    assert work(server) == 1
    (taken,) = answers.taken
    (to,) = taken.message["To"].addresses
    assert len(taken.recipients) == 1
    for found in (taken.recipients[0], to.addr_spec):
        assert found.replace('"jane."', "jane.") == address


def test_an_address_with_letters_beyond_ascii_needs_a_server_that_takes_them(
    answers: Answers,
) -> None:  # RFC 6531
    first, second = letter("jörg@example.com"), letter("jörg@example.com")
    with mail_server(answers, enable_SMTPUTF8=True) as port:
        post([first])
        assert work(at(port)) == 1
    assert answers.taken[0].recipients == ["jörg@example.com"]
    with mail_server(answers, enable_SMTPUTF8=False) as port:
        post([second])
        assert work(at(port)) == 0
    assert state(second) == (Fate.REFUSED, False)


# Failures


def test_a_temporary_refusal_is_tried_again_later(
    server: MailServer, answers: Answers, clock: Clock
) -> None:
    answers.rcpt = ["450 4.2.0 Greylisted", "450 4.2.0 Greylisted"]
    posted, other = letter(), letter("paul@example.com")
    post([posted])
    assert work(server) == 0
    assert state(posted) == (Fate.LATER, True)
    assert work(server) == 0  # not before its time
    clock.advance(timedelta(seconds=10))
    assert work(server) == 0
    post([other])
    assert work(server) == 1  # one that waits holds up nobody
    clock.advance(timedelta(seconds=20))
    assert work(server) == 1
    assert [taken.recipients for taken in answers.taken] == [
        ["paul@example.com"],
        ["jane.doe@example.com"],
    ]
    assert state(posted) == (Fate.SENT, False)


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_a_permanent_refusal_ends_it(
    server: MailServer, answers: Answers, clock: Clock, where: str
) -> None:
    setattr(answers, where, ["550 5.1.1 <jane.doe@example.com> is unknown here"])
    posted, other = letter(), letter("paul@example.com")
    post([posted, other])
    assert work(server) == 1
    assert state(posted) == (Fate.REFUSED, False)
    assert state(other) == (Fate.SENT, False)
    clock.advance(LIVES / 2)
    assert work(server) == 0


def test_retries_end_when_the_link_does(server: MailServer, answers: Answers, clock: Clock) -> None:
    answers.data = ["451 4.3.0 Try later"] * 1000
    posted = letter()
    post([posted])
    tries, before = 0, 1000
    while clock() < START + LIVES:
        work(server)
        tries += before - len(answers.data)
        before = len(answers.data)
        schedule.tidy(clock())
        clock.advance(timedelta(seconds=10))
    assert 12 < tries < 25
    answers.data = []
    assert work(server) == 0
    schedule.tidy(clock())
    assert state(posted) == (Fate.EXPIRED, False)
    assert not answers.taken


def test_a_server_that_is_away_costs_one_try_and_no_letter(answers: Answers, clock: Clock) -> None:
    port = free_port()
    letters = [letter(f"p{n}@example.com") for n in range(3)]
    post(letters)
    assert work(at(port)) == 0
    assert [state(each)[0] for each in letters].count(None) == 2
    clock.advance(timedelta(seconds=10))
    with mail_server(answers, port):
        assert work(at(port)) == 3


def test_a_server_that_closes_down_is_left_alone(server: MailServer, answers: Answers) -> None:
    answers.rcpt = ["421 4.3.2 Closing down", "421 4.3.2 Closing down"]
    post([letter(), letter()])
    assert work(server) == 0
    assert answers.rcpt == ["421 4.3.2 Closing down"]  # RFC 5321 4.2.3: no second letter


def test_many_letters_share_a_connection(server: MailServer, answers: Answers) -> None:
    post([letter(f"p{n}@example.com") for n in range(5)])
    assert work(server) == 5
    assert answers.connections == 1


def test_a_letter_that_cannot_be_opened_holds_up_no_other(
    server: MailServer, answers: Answers
) -> None:
    broken, whole = letter(), letter("paul@example.com")
    post([broken, whole])
    run(
        lambda c: c.execute(
            "UPDATE outgoing_mail SET ciphertext = 'altered' WHERE id = %s", [broken.id]
        )
    )
    assert work(server) == 1
    assert state(broken)[0] == Fate.LATER


def test_a_worker_that_dies_loses_no_letter(
    server: MailServer, answers: Answers, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    post([letter()])
    with monkeypatch.context() as patch:
        patch.setattr(smtplib.SMTP, "send_message", die)
        with pytest.raises(KeyboardInterrupt):
            work(server)
    assert work(server) == 0  # its lease lasts
    clock.advance(LEASE)
    assert work(server) == 1
    assert len(answers.taken) == 1


def test_two_workers_send_a_letter_once(app: Flask, server: MailServer, answers: Answers) -> None:
    """The second one comes while the first is telling the server."""
    by_the_other: list[int] = []

    def work_too() -> None:  # in the server's thread
        with app.app_context():
            by_the_other.append(work(server))

    answers.before_data = work_too
    post([letter()])
    assert work(server) == 1
    assert by_the_other == [0]
    assert len(answers.taken) == 1


def test_a_worker_that_froze_until_its_time_was_over_says_nothing_any_more(
    server: MailServer, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease may be over too, and the letter in other hands."""
    monkeypatch.setattr(smtp, "CONVERSATION", 0.0)
    posted = letter()
    post([posted])
    assert work(server) == 0
    assert (answers.connections, answers.taken) == (0, [])
    assert state(posted) == (Fate.LATER, True)


def test_a_server_that_is_slow_ends_no_later_than_the_lease(
    server: MailServer, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    answers.before_data = partial(done.wait, 10)
    monkeypatch.setattr(smtp, "CONVERSATION", 0.3)
    posted = letter()
    post([posted])
    begin = time.monotonic()
    try:
        assert work(server) == 0
    finally:
        done.set()
    assert time.monotonic() - begin < 5
    assert state(posted) == (Fate.LATER, True)


def test_no_address_and_no_link_gets_into_logs(
    answers: Answers, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:  # I12
    written = StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(written), [structlog.processors.JSONRenderer()]
    )
    monkeypatch.setattr(mail, "log", log)
    answers.rcpt = ["550 5.1.1 <jane.doe@example.com> unknown", "450 <jane.doe@example.com> later"]
    post([letter() for _ in range(4)])
    assert work(server) == 2
    post([letter()])
    work(at(free_port()))
    said = written.getvalue()
    assert said.count("letter_sent") == 2
    assert said.count("letter_not_sent") == 3
    assert "jane" not in said
    assert "secret-token" not in said


# TLS


@pytest.fixture
def tls(tmp_path: Path) -> Any:
    return certificate(tmp_path)


@pytest.fixture
def trusted(tls: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))


def secured(port: int, security: Security) -> MailServer:
    return MailServer("127.0.0.1", port, security, USER, PASSWORD)


@pytest.mark.usefixtures("trusted")
def test_starttls_and_a_password(answers: Answers, tls: Any) -> None:
    options = {"tls_context": tls, "require_starttls": True, "authenticator": authenticator}
    with mail_server(answers, **options, auth_required=True) as port:
        post([letter()])
        assert work(secured(port, Security.STARTTLS)) == 1
    assert answers.taken[0].tls


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_a_server_whose_certificate_nobody_vouches_for_gets_nothing(
    answers: Answers, tls: Any, security: Security
) -> None:
    options = {"ssl_context" if security is Security.TLS else "tls_context": tls}
    with mail_server(answers, **options) as port:
        post([letter()])
        assert work(replace(secured(port, security), user=None)) == 0
    assert not answers.taken


@pytest.mark.usefixtures("trusted")
def test_tls_from_the_first_octet(answers: Answers, tls: Any) -> None:
    with mail_server(answers, ssl_context=tls) as port:
        post([letter()])
        assert work(replace(secured(port, Security.TLS), user=None)) == 1


def test_a_server_without_starttls_gets_nothing(answers: Answers, server: MailServer) -> None:
    # RFC 3207 6: whoever strips STARTTLS must not read the links
    posted = letter()
    post([posted])
    assert work(replace(server, security=Security.STARTTLS)) == 0
    assert not answers.taken
    assert state(posted) == (Fate.LATER, True)


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_costs_no_letter(answers: Answers, tls: Any) -> None:
    options = {"tls_context": tls, "require_starttls": True, "authenticator": authenticator}
    posted = letter()
    post([posted])
    with mail_server(answers, **options) as port:
        assert work(replace(secured(port, Security.STARTTLS), password="wrong")) == 0
    assert state(posted) == (Fate.LATER, True)


# The scheduler


def test_the_scheduler_finds_due_mail_without_redis_having_heard_of_it(
    redis_url: str, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preference_center.queue import Queue, connect, rq_queue

    post([letter() for _ in range(50)])
    with connect(redis_url) as connection:
        connection.flushdb()
        monkeypatch.setitem(app.extensions, NAME, replace(services(), queue=Queue(redis_url)))
        assert schedule.tick() == 3
        jobs = rq_queue(connection, "mail").jobs
        assert {job.func_name for job in jobs} == {"workers.jobs.send_mail"}
        assert schedule.tick() == 3  # another replica
        assert len(rq_queue(connection, "mail").jobs) == 3


def test_the_scheduler_forgets_old_mail(clock: Clock) -> None:
    post([letter()])
    clock.advance(outbox.KEPT + timedelta(days=1))
    schedule.tidy(clock())  # expired, then forgotten
    assert run(lambda c: c.execute("SELECT count(*) FROM outgoing_mail").fetchone()) == (0,)


def test_the_job_sends(
    server: MailServer, answers: Answers, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers.jobs import send_mail

    url = f"smtp://127.0.0.1:{server.port}?starttls=0"
    settings = services().settings.model_copy(update={"smtp_url": url})
    monkeypatch.setitem(app.extensions, NAME, replace(services(), settings=settings))
    post([letter()])
    send_mail()
    assert len(answers.taken) == 1


def test_a_letter_nobody_knows_changes_nothing() -> None:
    run(lambda c: outbox.settle(c, uuid4(), uuid4(), Fate.SENT))
    assert run(lambda c: outbox.due(c, START)) == 0
