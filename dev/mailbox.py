"""A mail server that delivers to nobody: `python -m dev.mailbox --port 8200`.

It keeps the last mails in the folder that `DEV_FOLDER` names, for `/dev` to show. Listens on
the loopback only.
"""

from __future__ import annotations

import argparse
import email
import json
import os
import re
import signal
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from dev.accounts import write_private
from dev.demo.files import FOLDER

HOST = "127.0.0.1"
KEPT = 20
"""Mails; older ones are forgotten."""

_LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class Received:
    """One mail as it arrived. `links` are those of the text part; `html` loads nothing."""

    received_at: str
    sender: str
    recipient: str
    subject: str
    language: str
    text: str
    html: str
    links: tuple[str, ...]


def received(folder: Path) -> list[Received]:
    """The mails in the mailbox of `folder`, newest first."""
    path = _path(folder)
    if not path.exists():
        return []
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Received(**row | {"links": tuple(row["links"])}) for row in rows]


class Mailbox:
    """The handler for aiosmtpd, which calls it one mail at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep a mail."""
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        mails = [_read(message), *received(self._folder)][:KEPT]
        write_private(_path(self._folder), json.dumps([asdict(mail) for mail in mails]))
        return "250 2.0.0 Kept"


def _read(message: EmailMessage) -> Received:
    text = _part(message, "plain")
    return Received(
        received_at=datetime.now(UTC).isoformat(timespec="seconds"),
        sender=str(message["From"]),
        recipient=str(message["To"]),
        subject=str(message["Subject"]),
        language=str(message.get("Content-Language", "")),
        text=text,
        html=_part(message, "html"),
        links=tuple(_LINK.findall(text)),
    )


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()).replace("\r\n", "\n") if part else ""


def _path(folder: Path) -> Path:
    return folder / "mailbox.json"


def main(arguments: list[str]) -> int:
    """Receive until SIGTERM or SIGINT; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dev.mailbox", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args(arguments).port
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)  # before the thread, so that it inherits it
    controller = Controller(Mailbox(Path(os.environ[FOLDER])), hostname=HOST, port=port)
    controller.start()
    signal.sigwait(stop)
    controller.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
