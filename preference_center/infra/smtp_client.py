"""An SMTP client with an overall deadline, which classifies failures.

A failure is permanent or temporary for one recipient, or of the server.
"""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from preference_center.infra.config_sections import MailServer, TransportSecurity

RESPONSE_TIMEOUT = 30.0
"""Seconds that the server may take for one response."""
SESSION_TIMEOUT = 60.0
"""Seconds for one email, including the connection."""

_PERMANENT_CODE = 500  # RFC 5321 4.2.1: 5yz is a permanent negative completion


class SmtpError(Exception):
    """The server did not accept the email.

    The message contains codes only: a server's text may quote the address (I12).
    """


class PermanentFailure(SmtpError):
    """The server will never accept it for this recipient."""


class TemporaryFailure(SmtpError):
    """The server did not accept it for this recipient now, as in greylisting."""


class ServerUnavailable(SmtpError):
    """The server can't be used now, or not with our settings, for any email."""


class SmtpClient:
    """One connection, opened for the first email, reused, and closed after any failure."""

    def __init__(self, server: MailServer, public_url: str) -> None:
        self._server = server
        self._local_hostname = urlsplit(public_url).hostname or "localhost"
        self._connection: smtplib.SMTP | None = None
        self._ends_at = 0.0

    def __enter__(self) -> Self:
        self.restart_deadline()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.restart_deadline()
        if self._connection is not None:
            try:
                self._connection.quit()
            except (smtplib.SMTPException, OSError):
                self._disconnect()

    def restart_deadline(self) -> None:
        """Let SESSION_TIMEOUT begin now: nothing is sent to the server after it."""
        self._ends_at = time.monotonic() + SESSION_TIMEOUT

    def send(self, message: EmailMessage) -> None:
        """Submit the message, for the one recipient in its headers.

        Returns once the server has accepted it (RFC 5321 6.1). Raises SmtpError.
        """
        connection = self._connection or self._connect()
        try:
            connection.send_message(message)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            self._disconnect()
            raise _classify_error(error) from None

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        kind = _TlsSmtp if server.security is TransportSecurity.TLS else _PlainSmtp
        try:
            smtp = self._connection = kind(
                self._time_left, server.host, server.port, self._local_hostname
            )
            if server.security is TransportSecurity.STARTTLS:
                smtp.starttls(context=ssl.create_default_context())
            if server.user:
                smtp.login(server.user, server.password)
        except smtplib.SMTPResponseException as error:
            self._disconnect()
            raise ServerUnavailable(f"{type(error).__name__} {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as error:
            self._disconnect()
            raise ServerUnavailable(_describe(error)) from None
        return smtp

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _time_left(self) -> float:
        """Seconds for the next response. Raises TimeoutError after the deadline."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, RESPONSE_TIMEOUT)


def _describe(error: Exception) -> str:
    """Its type, and what is wrong with the server's certificate, in the words of OpenSSL."""
    name = type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{name}: {error.verify_message}"
    return name


def _classify_error(error: Exception) -> SmtpError:
    """The class of a failure after the connection was established."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = next(iter(error.recipients.values()))[0]
        return _classify_code("recipient", code)
    if isinstance(error, smtplib.SMTPDataError):
        return _classify_code("data", error.smtp_code)
    if isinstance(error, smtplib.SMTPSenderRefused):  # a wrong setting of ours, which can be fixed
        return ServerUnavailable(f"sender {error.smtp_code}")
    if isinstance(error, smtplib.SMTPNotSupportedError | ValueError):
        return PermanentFailure("the server does not support the address")  # RFC 6531: no SMTPUTF8
    return ServerUnavailable(type(error).__name__)


def _classify_code(stage: str, code: int) -> SmtpError:
    if code == 421:  # noqa: PLR2004 - RFC 5321 4.2.3: the server is closing down
        return ServerUnavailable(f"{stage} {code}")
    return (PermanentFailure if code >= _PERMANENT_CODE else TemporaryFailure)(f"{stage} {code}")


class _DeadlineSmtp(smtplib.SMTP):
    """Sets the socket timeout before every step to the time that is left.

    smtplib's own timeout applies to each read, so a slow server could outlast a lease.
    """

    def __init__(
        self,
        time_left: Callable[[], float],
        host: str,
        port: int,
        local_hostname: str,
        **options: Any,
    ) -> None:
        self._time_left = time_left
        super().__init__(host, port, local_hostname=local_hostname, timeout=time_left(), **options)

    def send(self, s: Any) -> None:
        """Send bytes. Raises TimeoutError after the deadline."""
        self._apply_deadline()
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        """Wait for a response. Raises TimeoutError after the deadline."""
        self._apply_deadline()
        return super().getreply()

    def _apply_deadline(self) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._time_left())


class _PlainSmtp(_DeadlineSmtp):
    """Without TLS, or before STARTTLS."""


class _TlsSmtp(_DeadlineSmtp, smtplib.SMTP_SSL):
    """Implicit TLS."""

    def __init__(
        self, time_left: Callable[[], float], host: str, port: int, local_hostname: str
    ) -> None:
        # smtplib's own default here checks no certificate.
        super().__init__(
            time_left, host, port, local_hostname, context=ssl.create_default_context()
        )
