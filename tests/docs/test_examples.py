"""The mailers that docs/links.md names, run as they are: the mails that arrive are checked."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask

from preference_center.core.addresses import Channel
from preference_center.core.links import Links, offline
from preference_center.core.links.tokens import LinkTopic, SenderKey
from preference_center.senders.mailcheck import check_email
from preference_center.senders.mailcheck.links import Installation, Severity
from tests.core.links.registry import FakeRegistry
from tests.docs.reading import ROOT
from tests.senders.mails import HOSTED, digest_prefixes

PAGE = (ROOT / "docs/links.md").read_text()
NOW = datetime.now(UTC)  # the examples go by the real clock
KEY = SenderKey(7, "shop", "k1", ("acme.offers",), NOW)
LINKS = Links(
    [("k1", b"1" * 32)], "https://p.example.com", "stop.example.com", FakeRegistry({7: KEY})
)
TOPICS = [LinkTopic("acme.offers", Channel.EMAIL, "https://p.example.com")]


class Mailbox:
    """Takes every mail."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        self.mails.append(content if isinstance(content, bytes) else b"")
        return "250 Ok"


@pytest.fixture
def box() -> Iterator[tuple[Mailbox, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    yield box, port
    controller.stop()


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """`example(name)`: what this file of docs/examples defines, or the first code of the page."""
    copied = ModuleType("preference_center_links")
    copied.__dict__.update(offline.__dict__)
    monkeypatch.setitem(sys.modules, "preference_center_links", copied)
    monkeypatch.setenv("LINK_KEY", LINKS.export_sender_key(KEY, TOPICS))

    def run(name: str = "") -> dict[str, Any]:
        code = PAGE.partition("```python\n")[2].partition("```")[0]
        if name:
            code = (ROOT / "docs/examples" / name).read_text(encoding="utf-8")
        names: dict[str, Any] = {"__name__": name}
        exec(code, names)
        return names

    return run


def problems(mails: list[bytes]) -> set[str]:
    """What is wrong with the one mail that arrived."""
    (mail,) = mails
    findings = check_email(mail, Installation(LINKS, HOSTED, digest_prefixes), NOW)
    return {one.code for one in findings if one.severity is not Severity.OK}


def test_the_first_example(example: Callable[..., dict[str, Any]]) -> None:
    links = example()["links"]
    assert LINKS.read_token(links.unsubscribe_url.rpartition("/")[2], NOW).scope == "acme.offers"


def test_jinja_and_smtplib(
    example: Callable[..., dict[str, Any]], box: tuple[Mailbox, int]
) -> None:
    mailbox, port = box
    example("mail_smtplib.py")["send"]("ada@example.com", "A & B", "127.0.0.1", port)
    assert problems(mailbox.mails) == {"dkim_missing"}  # a mail server's business
    assert b"A &amp; B" in mailbox.mails[0]


def test_flask_mail(example: Callable[..., dict[str, Any]], box: tuple[Mailbox, int]) -> None:
    mailbox, port = box
    app = Flask("example")
    app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=port, MAIL_DEFAULT_SENDER="a@acme.example")
    names = example("mail_flask.py")
    names["mail"].init_app(app)
    with app.app_context():
        names["send"]("ada@example.com", "Ada")
    assert problems(mailbox.mails) == {"dkim_missing"}


def test_django(
    example: Callable[..., dict[str, Any]],
    box: tuple[Mailbox, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django.conf import settings

    mailbox, port = box
    if not settings.configured:
        settings.configure(DEFAULT_FROM_EMAIL="a@acme.example", EMAIL_HOST="127.0.0.1")
    monkeypatch.setattr(settings, "EMAIL_PORT", port)
    example("mail_django.py")["send"]("ada@example.com", "A & B")
    assert problems(mailbox.mails) == {"dkim_missing"}
    assert b"A &amp; B" in mailbox.mails[0]


@pytest.mark.parametrize("way", ["EmailMessage", "Flask-Mail"])
def test_the_table_of_what_breaks_the_header_is_true(way: str) -> None:
    from email import policy
    from email.message import EmailMessage

    from flask_mail import Mail, Message

    minter = offline.LinkMinter(LINKS.export_sender_key(KEY, TOPICS))
    headers = minter.headers("ada@example.com", "acme.offers", str(UUID(int=1)))
    app = Flask("example")
    Mail(app)
    if way == "EmailMessage":
        mail = EmailMessage(policy=policy.SMTP)
        for name, value in headers.items():
            mail[name] = value
        sent = mail.as_bytes()
    else:
        with app.app_context():
            message = Message("x", ["a@b.it"], "x", sender="c@d.it", extra_headers=headers)
            sent = message.as_bytes()
    assert "header_encoded" in problems([sent])
