"""`flask inbound`: from a pipe, from a maildir, and what is unresolved."""

# ruff: noqa: F401, F811 - fixtures of the folder of mails are imported by name

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev.processes import wait_until
from preference_center.core.errors import Unavailable
from tests.clock import START
from tests.inbound.mail.fixtures import MakeTo, app, ledger, make_to, to
from tests.inbound.mail.mails import DOMAIN, apple, outlook
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

    from preference_center.infra.config import Settings

OUT = ("opted_out", "acme.offers")
ROOT = Path(__file__).parents[2]


def inbound(app: Flask, *words: str, mail: bytes = b"") -> Result:
    return app.test_cli_runner().invoke(args=["inbound", *words], input=mail)


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The database can't be reached; `undo` brings it back."""

    def check_out(engine: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr("preference_center.infra.db.transactions._check_out", check_out)
    return monkeypatch


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


def put(maildir: Path, name: str, mail: bytes, hours_ago: float = 0) -> None:
    path = maildir / "new" / name
    path.write_bytes(mail)
    at = START.timestamp() - 3600 * hours_ago
    os.utime(path, (at, at))


class TestReceive:
    def test_takes_a_mail_from_a_pipe(self, app: Flask, to: str, ledger: Ledger) -> None:
        assert inbound(app, "receive", mail=apple(to)).exit_code == 0
        assert ledger.kinds() == [OUT]

    def test_takes_a_mail_from_a_file(
        self, app: Flask, to: str, ledger: Ledger, tmp_path: Path
    ) -> None:
        (tmp_path / "mail").write_bytes(outlook(to).replace(b"\r\n", b"\n"))
        assert inbound(app, "receive", str(tmp_path / "mail")).exit_code == 0
        assert ledger.kinds() == [OUT]

    def test_heeds_the_envelope_alone_if_there_is_one(
        self, app: Flask, to: str, ledger: Ledger
    ) -> None:  # RULES A12
        bounce = f"bounce-1@{DOMAIN}"
        result = inbound(app, "receive", "--recipient", bounce, mail=outlook(to))
        assert result.exit_code == 67
        assert ledger.kinds() == []
        assert inbound(app, "receive", "--recipient", to, "-", mail=b"").exit_code == 0

    def test_tells_the_mta_to_come_again_while_the_database_is_away(
        self, app: Flask, to: str, ledger: Ledger, away: pytest.MonkeyPatch
    ) -> None:  # I1
        result = inbound(app, "receive", mail=outlook(to))
        assert result.exit_code == 75
        assert "example.com" not in result.output  # I12: MTAs log it
        away.undo()
        assert inbound(app, "receive", mail=outlook(to)).exit_code == 0
        assert ledger.kinds() == [OUT]

    def test_reads_a_large_mail_to_its_end(self, app: Flask, to: str, ledger: Ledger) -> None:
        assert inbound(app, "receive", mail=outlook(to) + b"x" * 5_000_000).exit_code == 0
        assert ledger.kinds() == [OUT]


class TestMaildir:
    def test_takes_ours_and_leaves_the_rest(
        self, app: Flask, to: str, ledger: Ledger, maildir: Path
    ) -> None:
        put(maildir, "1.a", outlook(to))
        put(maildir, "2.b", outlook("bounces@example.com"))
        put(maildir, "3.c", apple(to))

        result = inbound(app, "maildir", str(maildir))

        assert result.exit_code == 0
        assert "2 processed, 1 not for us" in result.output
        assert [path.name for path in (maildir / "new").iterdir()] == ["2.b"]
        assert {path.name for path in (maildir / "cur").iterdir()} == {"1.a:2,S", "3.c:2,S"}
        assert ledger.kinds() == [OUT]

    def test_counts_from_when_the_mta_wrote_it(
        self, app: Flask, to: str, ledger: Ledger, maildir: Path
    ) -> None:  # I3
        put(maildir, "1.a", outlook(to), hours_ago=30)
        inbound(app, "maildir", str(maildir))
        (event,) = ledger.events()
        assert (START - event["received_at"]).total_seconds() == 30 * 3600

    def test_moves_nothing_while_the_database_is_away(
        self, app: Flask, to: str, ledger: Ledger, maildir: Path, away: pytest.MonkeyPatch
    ) -> None:  # I1
        put(maildir, "1.a", outlook(to))
        assert inbound(app, "maildir", str(maildir)).exit_code == 75
        assert [path.name for path in (maildir / "new").iterdir()] == ["1.a"]
        away.undo()
        assert inbound(app, "maildir", str(maildir)).exit_code == 0
        assert ledger.kinds() == [OUT]

    def test_states_what_is_no_maildir(self, app: Flask, tmp_path: Path) -> None:
        result = inbound(app, "maildir", str(tmp_path))
        assert result.exit_code == 2
        assert "not a maildir" in result.stderr

    def test_watches_until_it_is_stopped(
        self, settings: Settings, to: str, ledger: Ledger, maildir: Path
    ) -> None:
        given = settings.model_dump(exclude_none=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "inbound", "maildir", str(maildir), "--watch"],
            cwd=ROOT,
            env=os.environ | {name.upper(): str(value) for name, value in given.items()},
        )
        try:
            put(maildir, "1.a", outlook("bounces@example.com"))
            put(maildir, "2.b", outlook(to))
            assert wait_until((maildir / "cur" / "2.b:2,S").exists, 30)
            assert ledger.kinds() == [OUT]
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
        assert (maildir / "new" / "1.a").exists()


class TestUnresolved:
    def test_are_shown_without_an_address_and_can_be_resolved(
        self, app: Flask, make_to: MakeTo, ledger: Ledger
    ) -> None:
        assert "No opt-out is pending" in inbound(app, "pending").stderr
        inbound(app, "receive", mail=outlook(make_to("alias@example.com")))
        shown = inbound(app, "pending").output
        assert "acme.offers" in shown
        assert "link of 2026-11-21" in shown
        assert "alias" not in shown

        result = inbound(app, "resolve-pending", "-", mail=b"alias@example.com\n")
        assert "1 recorded, 0 still pending" in result.output
        assert ledger.kinds() == [OUT]

    def test_an_unknown_scope_or_address_states_what_to_fix(self, app: Flask) -> None:
        result = inbound(
            app, "resolve-pending", "-", "--scope", "acme.offerz", mail=b"alias@example.com"
        )
        assert result.exit_code == 2
        assert "did you mean" in result.stderr
        assert inbound(app, "resolve-pending", "-", mail=b"alias at example").exit_code == 2

    def test_no_address_is_taken_from_the_command_line(self, app: Flask) -> None:  # I12
        result = inbound(app, "resolve-pending", "alias@example.com")
        assert result.exit_code == 2
        assert "every user of this host" in result.stderr


@pytest.mark.parametrize("command", ["receive", "maildir", "pending", "resolve-pending"])
def test_help_teaches(app: Flask, command: str) -> None:
    result = inbound(app, command, "--help")
    assert result.exit_code == 0
    assert len(result.output) > 400
