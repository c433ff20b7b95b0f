"""A conversation with the mail server that ends in time, and tells whose fault a failure is."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from preference_center.mail_server import MailServer, Security

ANSWER = 30.0
"""Seconds that the server may take for one answer."""
CONVERSATION = 60.0
"""Seconds for one letter, with the connection before it."""

_PERMANENT = 500  # RFC 5321 4.2.1: 5yz is a permanent negative completion


class HandOverError(Exception):
    """The letter was not taken.

    The message holds codes only: a server's text may quote the address (I12).
    """


class Refused(HandOverError):
    """It will never be taken for this recipient."""


class NotNow(HandOverError):
    """It was not taken for this recipient just now, as in greylisting."""


class ServerAway(HandOverError):
    """The server can't be used just now, or not with our settings: no letter's fault."""


class Session:
    """One connection, opened for the first letter, kept for more, dropped at any failure."""

    def __init__(self, server: MailServer, public_url: str) -> None:
        self._server = server
        self._own_name = urlsplit(public_url).hostname or "localhost"
        self._open: smtplib.SMTP | None = None
        self._ends_at = 0.0

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.begin()
        if self._open is not None:
            try:
                self._open.quit()
            except (smtplib.SMTPException, OSError):
                self._drop()

    def begin(self) -> None:
        """Count CONVERSATION from now: nothing is said to the server later than that."""
        self._ends_at = time.monotonic() + CONVERSATION

    def hand_over(self, message: EmailMessage) -> None:
        """Give the message to the server, for the one recipient that its headers name.

        Returns once the server has taken charge of it. Raises a HandOverError.
        """
        connection = self._open or self._connect()
        try:
            connection.send_message(message)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            self._drop()
            raise _told(error) from None

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        kind = _TlsSmtp if server.security is Security.TLS else _Smtp
        try:
            smtp = self._open = kind(self._left, server.host, server.port, self._own_name)
            if server.security is Security.STARTTLS:
                smtp.starttls(context=ssl.create_default_context())
            if server.user:
                smtp.login(server.user, server.password)
        except smtplib.SMTPResponseException as error:
            self._drop()
            raise ServerAway(f"{type(error).__name__} {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            raise ServerAway(type(error).__name__) from None
        return smtp

    def _drop(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None

    def _left(self) -> float:
        """Seconds for the next answer. Raises TimeoutError when the conversation is over."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, ANSWER)


def _told(error: Exception) -> HandOverError:
    """What a failure after the connection stood means for the letter."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = next(iter(error.recipients.values()))[0]
        return _by_code("recipient", code)
    if isinstance(error, smtplib.SMTPDataError):
        return _by_code("data", error.smtp_code)
    if isinstance(error, smtplib.SMTPSenderRefused):  # ours to mend, while there is time
        return ServerAway(f"sender {error.smtp_code}")
    if isinstance(error, smtplib.SMTPNotSupportedError | ValueError):
        return Refused("the address is beyond the server")  # RFC 6531: no SMTPUTF8
    return ServerAway(type(error).__name__)


def _by_code(what: str, code: int) -> HandOverError:
    if code == 421:  # noqa: PLR2004 - RFC 5321 4.2.3: the server is closing down
        return ServerAway(f"{what} {code}")
    return (Refused if code >= _PERMANENT else NotNow)(f"{what} {code}")


class _InTime(smtplib.SMTP):
    """Asks before every step how long it may take.

    smtplib's own timeout is for each octet read, so a slow server could outlive a lease.
    """

    def __init__(
        self, left: Callable[[], float], host: str, port: int, own_name: str, **given: Any
    ) -> None:
        self._left = left
        super().__init__(host, port, local_hostname=own_name, timeout=left(), **given)

    def send(self, s: Any) -> None:
        """Send octets, if there is time."""
        self._limit()
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        """Wait for an answer, if there is time."""
        self._limit()
        return super().getreply()

    def _limit(self) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._left())


class _Smtp(_InTime):
    """In clear, at least to begin with."""


class _TlsSmtp(_InTime, smtplib.SMTP_SSL):
    """In TLS from the first octet on."""

    def __init__(self, left: Callable[[], float], host: str, port: int, own_name: str) -> None:
        # smtplib's own default here checks no certificate.
        super().__init__(left, host, port, own_name, context=ssl.create_default_context())
