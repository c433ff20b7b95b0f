"""This module receives mails by SMTP or LMTP.

The server is small and for opt-outs and reports by mail, and nothing else: no relay. It answers 250
to a mail only when everything in it is committed or spooled (I1); 451 when that is not possible
now, so that the sender's MTA keeps the mail and tries again; and 550 to every recipient that is
neither a token nor a mailbox of ours, whether the address exists or not.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from asyncio import BaseTransport, LimitOverrunError, WriteTransport
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Literal, cast

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask

from preference_center.core.errors import PreferenceCenterError, Unavailable
from preference_center.core.mime import MAIL_HEAD_BYTES
from preference_center.inbound.ingest import ingest_mail
from preference_center.inbound.mail import is_our_recipient
from preference_center.inbound.opt_outs import resolve_pending
from preference_center.infra.context import services
from preference_center.infra.db import connections
from preference_center.infra.keys.fingerprints import require_known_keys

log = structlog.get_logger()


MAX_MAIL_BYTES = 64 * 1024 * 1024
"""Size in bytes of the largest mail accepted; only its beginning is kept in memory."""


MAX_RECIPIENTS = 100  # RFC 5321 4.5.3.1.8 forbids fewer


MAX_SESSIONS = 100


TIMEOUT = 300  # seconds per command or mail, RFC 5321 4.5.3.2.7


SHUTDOWN_TIMEOUT = 15.0
"""Seconds that mails in progress may take when the process stops."""


STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


RESOLVE_INTERVAL = 60.0
"""Seconds between attempts to resolve pending opt-outs."""


REPLY_NO_SUCH_ADDRESS = "550 5.1.1 No such address here"


REPLY_TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients"


REPLY_TOO_BIG = "552 5.3.4 Message too big"


REPLY_TRY_LATER = "451 4.3.0 Not recorded yet, try again later"


REPLY_TOO_BUSY = "421 4.3.2 Too busy, try again later"


REPLY_SHUTTING_DOWN = "421 4.3.2 Shutting down, try again later"


REPLY_OK = "250 2.0.0 Received"


# The library would log addresses (I12).
for _name in ("mail.log", "mail.debug"):
    logging.getLogger(_name).disabled = True


class InboundMailServer:
    """The server: its sessions, and the hooks that aiosmtpd calls for each command.

    Must be created and run inside a running event loop. Database work runs on as many threads
    as the process may have connections.
    """

    def __init__(self, app: Flask, protocol: Literal["lmtp", "smtp"]) -> None:
        self._app = app
        with app.app_context():
            self._services = services()
        settings = self._services.settings
        self._mailboxes = settings.mailboxes
        self._session = LmtpSession if protocol == "lmtp" else SmtpSession
        self._name = settings.unsubscribe_mail_domain or "localhost"
        self._pool = ThreadPoolExecutor(settings.database_pool, "mail")
        self.sessions: set[SmtpSession] = set()
        self.is_stopping = False
        self._ended = asyncio.Event()
        self._knows_keys = False

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Start to accept connections."""
        return await asyncio.get_running_loop().create_server(self._connect, host, port)

    def _connect(self) -> SmtpSession:
        return self._session(self, self._name)

    async def stop(self, server: asyncio.Server) -> None:
        """Stop accepting, and return when the mails in progress are answered."""
        self.is_stopping = True
        server.close()
        for session in list(self.sessions):
            session.close_when_idle()
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT):
                while self.sessions:
                    self._ended.clear()
                    await self._ended.wait()
        self._pool.shutdown()  # waits for a commit in progress

    def remove_session(self, session: SmtpSession) -> None:
        """Remove a session that has ended."""
        self.sessions.discard(session)
        self._ended.set()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        """Whether we accept mail for this recipient: the same answer whether it exists or not."""
        loop = asyncio.get_running_loop()
        try:  # the key of a sender may have to be looked up
            known = await loop.run_in_executor(self._pool, self._is_ours, address)
        except PreferenceCenterError as error:
            log.warning("mail_deferred", error=type(error).__name__)
            return REPLY_TRY_LATER
        if not known:
            return REPLY_NO_SUCH_ADDRESS
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return REPLY_TOO_MANY_RECIPIENTS
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Process a mail; 250 only when everything is committed or spooled (I1)."""
        head, size = cast("bytes", envelope.content), cast("SmtpSession", server).size
        recipients = [str(recipient) for recipient in envelope.rcpt_tos]
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(
                self._pool, self._ingest, head, size, recipients, envelope.mail_from or ""
            )
        except PreferenceCenterError as error:
            log.warning("mail_deferred", error=type(error).__name__)
            return REPLY_TRY_LATER
        return REPLY_OK

    async def handle_exception(self, error: Exception) -> str:
        """Request a retry: an unexpected error must not lose an opt-out."""
        log.error("mail_failed", error=type(error).__name__)
        return REPLY_TRY_LATER

    async def resolve_periodically(self) -> None:
        """Try to resolve pending opt-outs at intervals. Never returns."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._pool, self._resolve)
            except PreferenceCenterError as error:
                log.warning("resolve_pending_failed", error=type(error).__name__)
            await asyncio.sleep(RESOLVE_INTERVAL)

    def _is_ours(self, address: str) -> bool:
        with self._app.app_context():
            return is_our_recipient(self._services.links, self._mailboxes, address)

    def _ingest(self, head: bytes, size: int, recipients: list[str], sender: str) -> None:
        with self._app.app_context():
            context = services()
            if not self._knows_keys:  # the database may have been unavailable at the start
                self._check_keys()
            ingest_mail(head, recipients, context.now(), size=size, sender=sender)

    def _check_keys(self) -> None:
        """Check the keys. Raises Unavailable, unless an outage sends everything to the spool.

        The process that ends the outage checks the keys then.
        """
        try:
            require_known_keys()
            self._knows_keys = True
        except Unavailable:
            if not connections.is_database_down():
                raise

    def _resolve(self) -> None:
        with self._app.app_context():
            resolve_pending()


class SmtpSession(SMTP):
    """One connection. Adds limits and an orderly end to aiosmtpd's."""

    def __init__(self, mail_server: InboundMailServer, name: str) -> None:
        super().__init__(
            mail_server,
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname=name,
            ident="preference-center",
            timeout=TIMEOUT,
            loop=asyncio.get_running_loop(),
        )
        self._mail_server = mail_server
        self._rejected = False
        self._receiving = False
        self.size = 0
        """Size in bytes of the mail in progress."""

    def connection_made(self, transport: BaseTransport) -> None:
        """Start, unless there are too many sessions."""
        if self._mail_server.is_stopping or len(self._mail_server.sessions) >= MAX_SESSIONS:
            self._rejected = True
            cast("WriteTransport", transport).write(REPLY_TOO_BUSY.encode() + b"\r\n")
            transport.close()
            return
        self._mail_server.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Remove the connection."""
        self._mail_server.remove_session(self)
        if not self._rejected:
            super().connection_lost(error)

    def close_when_idle(self) -> None:
        """Close the connection; if a mail is in progress, after it was answered."""
        if not self._receiving and self.transport is not None:
            cast("WriteTransport", self.transport).write(REPLY_SHUTTING_DOWN.encode() + b"\r\n")
            self.transport.close()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        """Receive a mail, and keep only its beginning.

        aiosmtpd's own rejects any mail with a line of more than 1000 bytes permanently, and buffers
        a line without an end. This does neither: an opt-out matters more than a valid body. Only
        CRLF . CRLF ends a mail (RFC 5321 4.1.1.4); a bare LF does not, or one mail could smuggle in
        another.
        """
        assert self.envelope is not None
        if await self.check_helo_needed():
            return
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
        elif arg:
            await self.push("501 5.5.4 Syntax: DATA")
        else:
            self._receiving = True
            try:
                await self._receive_mail(self.envelope)
            finally:
                self._receiving = False
            if self._mail_server.is_stopping:
                self.close_when_idle()

    async def _receive_mail(self, envelope: Envelope) -> None:
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        envelope.content, self.size = await self._read_mail()
        # RFC 2033 4.2: LMTP has one reply per recipient. Ours are committed together.
        replies = len(envelope.rcpt_tos) if isinstance(self, LMTP) else 1
        try:
            status = (
                REPLY_TOO_BIG
                if self.size > MAX_MAIL_BYTES
                else await self._call_handler_hook("DATA")
            )
        except Exception as error:  # noqa: BLE001 - each of its recipients must be answered
            status = await self._mail_server.handle_exception(error)
        self.envelope = self._create_envelope()
        await self.push("\r\n".join([status] * replies))

    async def _read_mail(self) -> tuple[bytes, int]:
        """The beginning of the mail, dots removed (RFC 5321 4.5.2), and its whole size."""
        head = bytearray()
        size = 0
        new_line = True
        while True:
            try:
                part = await self._reader.readuntil(b"\r\n")
                ends = True
            except LimitOverrunError as error:
                part = await self._reader.read(error.consumed)
                ends = False
            if new_line and part == b".\r\n":
                return bytes(head), size
            if new_line and part.startswith(b"."):
                part = part[1:]
            size += len(part)
            if len(head) < MAIL_HEAD_BYTES:
                head += part
            new_line = ends


class LmtpSession(SmtpSession, LMTP):
    """The same for a delivery agent (RFC 2033)."""


async def serve(app: Flask, port: int) -> None:
    """Receive mail until SIGTERM or SIGINT, which may be blocked until now."""
    with app.app_context():
        settings = services().settings
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # Not before: the first process of a container ignores a signal that it has no handler for.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    receiver = InboundMailServer(app, settings.mail_receiver_protocol)
    server = await receiver.listen(settings.mail_receiver_host, port)
    log.info("mail_server_started", port=port, protocol=settings.mail_receiver_protocol)
    resolving = asyncio.create_task(receiver.resolve_periodically())
    await stop.wait()
    resolving.cancel()
    await receiver.stop(server)
