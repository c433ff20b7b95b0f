"""What is secret goes only to a server that somebody vouches for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preference_center.infra.config_sections import MailServer, TransportSecurity
from preference_center.infra.outbox import SendResult, enqueue_emails
from tests.infra.emails import outgoing_email
from tests.infra.smtp.sending import secured, state, work
from tests.infra.smtp.stub import (
    SmtpStub,
    authenticator,
    certificate,
    run_smtp_stub,
)


@pytest.fixture
def tls(tmp_path: Path) -> Any:
    return certificate(tmp_path)


@pytest.fixture
def trusted(tls: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))


@pytest.mark.usefixtures("trusted")
def test_starttls_and_a_password(stub: SmtpStub, tls: Any) -> None:
    options = {"tls_context": tls, "require_starttls": True, "authenticator": authenticator}
    with run_smtp_stub(stub, **options, auth_required=True) as port:
        enqueue_emails([outgoing_email()])
        assert work(secured(port, TransportSecurity.STARTTLS)) == 1
    assert stub.received[0].tls


@pytest.mark.parametrize("security", [TransportSecurity.STARTTLS, TransportSecurity.TLS])
def test_a_server_whose_certificate_no_authority_signed_gets_nothing(
    stub: SmtpStub, tls: Any, security: TransportSecurity
) -> None:
    options = {"ssl_context" if security is TransportSecurity.TLS else "tls_context": tls}
    with run_smtp_stub(stub, **options) as port:
        enqueue_emails([outgoing_email()])
        assert work(replace(secured(port, security), user=None)) == 0
    assert not stub.received


@pytest.mark.usefixtures("trusted")
def test_tls_from_the_start(stub: SmtpStub, tls: Any) -> None:
    with run_smtp_stub(stub, ssl_context=tls) as port:
        enqueue_emails([outgoing_email()])
        assert work(replace(secured(port, TransportSecurity.TLS), user=None)) == 1


def test_a_server_without_starttls_gets_nothing(stub: SmtpStub, server: MailServer) -> None:
    # RFC 3207 6: anyone who strips STARTTLS must not read the links
    email = outgoing_email()
    enqueue_emails([email])
    assert work(replace(server, security=TransportSecurity.STARTTLS)) == 0
    assert not stub.received
    assert state(email) == (SendResult.RETRY_LATER, True)


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_costs_no_email(stub: SmtpStub, tls: Any) -> None:
    options = {"tls_context": tls, "require_starttls": True, "authenticator": authenticator}
    email = outgoing_email()
    enqueue_emails([email])
    with run_smtp_stub(stub, **options) as port:
        assert work(replace(secured(port, TransportSecurity.STARTTLS), password="wrong")) == 0
    assert state(email) == (SendResult.RETRY_LATER, True)
