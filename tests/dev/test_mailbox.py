"""The mail server of `make run` keeps what it is given, as a process of its own."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from dev.demo.files import FOLDER
from dev.mailbox import HOST, KEPT, received
from dev.processes import wait_until
from dev.server import free_port, is_free


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "dev.mailbox", "--port", str(port)]
    with subprocess.Popen(command, env={**os.environ, FOLDER: str(tmp_path)}) as process:
        try:
            assert wait_until(lambda: not is_free(port), 20)
            yield port
        finally:
            process.terminate()
            assert process.wait(10) == 0


def send(port: int, number: int = 1) -> None:
    mail = EmailMessage()
    mail["From"] = "Acme <choices@example.com>"
    mail["To"] = "jane@example.com"
    mail["Subject"] = f"Ihre Bestätigung {number}"
    mail.set_content("Bestätigen\nhttps://preferences.example.com/o/token\n\nBis bald.\n")
    mail.add_alternative("<p>Bestätigen</p>", subtype="html")
    with smtplib.SMTP(HOST, port, timeout=10) as client:
        client.send_message(mail)


def test_a_mail_is_there_to_be_shown(port: int, tmp_path: Path) -> None:
    assert received(tmp_path) == []
    send(port)
    (mail,) = received(tmp_path)
    assert (mail.recipient, mail.subject) == ("jane@example.com", "Ihre Bestätigung 1")
    assert mail.links == ("https://preferences.example.com/o/token",)
    assert "Bis bald." in mail.text
    assert mail.html.strip() == "<p>Bestätigen</p>"


def test_only_the_last_mails_are_kept_and_for_the_owners_eyes(port: int, tmp_path: Path) -> None:
    for number in range(KEPT + 2):
        send(port, number)
    mails = received(tmp_path)
    assert len(mails) == KEPT
    assert mails[0].subject.endswith(str(KEPT + 1))
    assert (tmp_path / "mailbox.json").stat().st_mode & 0o077 == 0
