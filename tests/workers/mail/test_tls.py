"""What is secret goes only to a server that somebody vouches for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preference_center.mail_server import MailServer, TransportSecurity
from preference_center.storage.mail.outbox import SendResult, enqueue_emails
from tests.storage.letters import letter
from tests.workers.mail.sending import secured, state, work
from tests.workers.mail_server import (
    Answers,
    authenticator,
    certificate,
    mail_server,
)


@pytest.fixture
def tls(tmp_path: Path) -> Any:
    return certificate(tmp_path)


@pytest.fixture
def trusted(tls: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))


@pytest.mark.usefixtures("trusted")
def test_starttls_and_a_password(answers: Answers, tls: Any) -> None:
    options = {"tls_context": tls, "require_starttls": True, "authenticator": authenticator}
    with mail_server(answers, **options, auth_required=True) as port:
        enqueue_emails([letter()])
        assert work(secured(port, TransportSecurity.STARTTLS)) == 1
    assert answers.taken[0].tls


@pytest.mark.parametrize("security", [TransportSecurity.STARTTLS, TransportSecurity.TLS])
def test_a_server_whose_certificate_nobody_vouches_for_gets_nothing(
    answers: Answers, tls: Any, security: TransportSecurity
) -> None:
    options = {"ssl_context" if security is TransportSecurity.TLS else "tls_context": tls}
    with mail_server(answers, **options) as port:
        enqueue_emails([letter()])
        assert work(replace(secured(port, security), user=None)) == 0
    assert not answers.taken


@pytest.mark.usefixtures("trusted")
def test_tls_from_the_first_octet(answers: Answers, tls: Any) -> None:
    with mail_server(answers, ssl_context=tls) as port:
        enqueue_emails([letter()])
        assert work(replace(secured(port, TransportSecurity.TLS), user=None)) == 1


def test_a_server_without_starttls_gets_nothing(answers: Answers, server: MailServer) -> None:
    # RFC 3207 6: whoever strips STARTTLS must not read the links
    posted = letter()
    enqueue_emails([posted])
    assert work(replace(server, security=TransportSecurity.STARTTLS)) == 0
    assert not answers.taken
    assert state(posted) == (SendResult.RETRY_LATER, True)


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_costs_no_letter(answers: Answers, tls: Any) -> None:
    options = {"tls_context": tls, "require_starttls": True, "authenticator": authenticator}
    posted = letter()
    enqueue_emails([posted])
    with mail_server(answers, **options) as port:
        assert work(replace(secured(port, TransportSecurity.STARTTLS), password="wrong")) == 0
    assert state(posted) == (SendResult.RETRY_LATER, True)
