"""A service with everything that can hold a trace: a journal, a spool, a mail server, logs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.infra.context import EXTENSION_NAME
from preference_center.rights.erasure import journal
from tests.in_force import CATALOGUE, put_in_force
from tests.infra.smtp.stub import SmtpStub, run_smtp_stub
from tests.ledger.spool.conftest import spooling
from tests.life.company import Company
from tests.life.traces import Places
from tests.rights.emails.test_texts import CONTROLLER

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.infra.config import Settings
    from tests.clock import Clock


@pytest.fixture
def company(
    app: Flask, clock: Clock, admin_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Company]:
    """A company with two tools, support, and a mail server."""
    (tmp_path / "journal").mkdir()
    put_in_force(app, CATALOGUE + CONTROLLER)
    with run_smtp_stub(stub := SmtpStub()) as port:
        wired = app.extensions[EXTENSION_NAME]
        settings = wired.settings.model_copy(
            update={
                "erasure_journal": str(tmp_path / "journal"),
                "spool_dir": str(tmp_path / "spool"),
                "smtp_url": f"smtp://127.0.0.1:{port}?starttls=0",
                "mail_from": "choices@example.com",
                "reply_addresses": "stop@acme.example",
            }
        )
        monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(wired, settings=settings))
        app.extensions.pop(journal.EXTENSION_KEY, None)
        with app.app_context():
            journal.start_journal()
        with spooling(app) as replayer:
            yield Company(app, clock, admin_url, stub, port, tmp_path / "files", replayer)
        app.extensions.pop(journal.EXTENSION_KEY, None)


@pytest.fixture
def places(
    company: Company, settings: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Places:
    """All that the company writes to."""
    written: list[str] = []

    def logs() -> str:
        captured = capfd.readouterr()
        written.extend((captured.out, captured.err))
        return "\n".join(written)

    keys = company.app.extensions[EXTENSION_NAME].keys
    folders = [tmp_path / name for name in ("journal", "spool", "files")]
    return Places(settings.database_url, settings.redis_url, keys, folders, logs)
