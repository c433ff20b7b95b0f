"""SMTP_URL is the server of outgoing mail, and not unencrypted by mistake."""

from __future__ import annotations

from typing import Any

import pytest

from preference_center.core.errors import ConfigError
from preference_center.infra.config import Settings, load_settings
from preference_center.infra.config_sections import MailServer, TransportSecurity
from tests.environment import settings_for


@pytest.mark.parametrize(
    "url, host, port, security",
    [
        ("smtp://mail.example.com", "mail.example.com", 587, TransportSecurity.STARTTLS),
        (
            "smtp://mail.example.com:25?starttls=1",
            "mail.example.com",
            25,
            TransportSecurity.STARTTLS,
        ),
        ("smtp://localhost:1025?starttls=0", "localhost", 1025, TransportSecurity.NONE),
        ("smtps://mail.example.com/", "mail.example.com", 465, TransportSecurity.TLS),
        ("smtps://[2001:db8::1]:2465", "2001:db8::1", 2465, TransportSecurity.TLS),
    ],
)
def test_the_parts_of_a_url(url: str, host: str, port: int, security: TransportSecurity) -> None:
    assert MailServer.parse(url) == MailServer(host, port, security)


def test_user_and_password_are_percent_encoded_and_never_shown() -> None:
    server = MailServer.parse("smtps://us%40er:p%2Fss%3A%25@mail.example.com")
    assert (server.user, server.password) == ("us@er", "p/ss:%")
    assert "p/ss" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://user:secret@mail.example.com",
        "smtp://",
        "smtp://user:secret@mail.example.com:port",
        "smtp://user:secret@mail.example.com/path",
        "smtp://user:secret@mail.example.com?starttls=maybe",
        "smtp://user:secret@mail.example.com?startls=1",
        "smtp://user:secret@mail.example.com?starttls",
        "smtps://user:secret@mail.example.com?starttls=1",
        "smtp://user:secret@mail.example.com?starttls=0",
    ],
)
def test_what_cannot_be_read_or_would_show_the_password_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MailServer.parse(url)
    assert "secret" not in str(caught.value)


def load(monkeypatch: pytest.MonkeyPatch, **given: Any) -> Settings:
    base = settings_for("postgresql://nobody@localhost/none", "redis://localhost")
    for name, value in (base.model_dump(exclude_none=True) | given).items():
        monkeypatch.setenv(name.upper(), str(value))
    return load_settings()


def test_settings_name_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    url, sender = "smtp://user:secret@mail.example.com", "Example <choices@example.com>"
    settings = load(monkeypatch, smtp_url=url, mail_from=sender)
    assert settings.mail_server == MailServer.parse(url)
    assert "secret@" not in repr(settings)


def test_without_it_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch).mail_server is None


@pytest.mark.parametrize(
    "given, name",
    [
        ({"smtp_url": "smtp://user:secret@:x"}, "SMTP_URL"),
        ({"smtp_url": "smtp://mail.example.com"}, "MAIL_FROM"),
        ({"smtp_url": "smtp://mail.example.com", "mail_from": ""}, "MAIL_FROM"),
        ({"mail_from": "nobody"}, "MAIL_FROM"),
        ({"mail_from": "A <a@example.com>\r\nBcc: b@example.com"}, "MAIL_FROM"),
    ],
)
def test_a_process_does_not_start_with_half_of_them(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], name: str
) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        load(monkeypatch, **given)
    assert "secret" not in str(caught.value)
