"""The drill of docs/backup.md, with its commands as they stand there (I1, I6)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest

from dev.engines import Engines
from dev.postgres import Postgres
from preference_center.core.events import EventKind
from preference_center.ledger import record
from tests.docs.reading import ROOT
from tests.faults.service import Service, change

PAGE = ROOT / "docs/backup.md"
PEOPLE = 200
"""How many have opted out before the backup is made."""
_STEP = re.compile(r"^### \d+\. (.+?)\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
_COMMANDS = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(slots=True)
class Drill:
    """Carries out the steps of the page in their order, and knows how long each took."""

    environ: dict[str, str]
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Title and commands of those that are left."""
    took: list[tuple[str, float]] = field(default_factory=list)
    """Title and seconds of those that are done."""

    def __post_init__(self) -> None:
        for title, text in _STEP.findall(PAGE.read_text()):
            [commands] = _COMMANDS.findall(text)
            self.steps.append((title, commands))

    def next(self, title: str) -> str:
        """Run the next step, which must be the one of this title, and return what it printed."""
        found, commands = self.steps.pop(0)
        assert found == title
        began = monotonic()
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{title}: {done.stdout}{done.stderr}"
        self.took.append((title, monotonic() - began))
        return done.stdout

    def report(self, backup: int) -> str:
        """A line for each step; `backup` is the size of the backup in bytes."""
        lines = [f"{seconds:7.1f} s  {title}" for title, seconds in self.took]
        return "\n".join(["", *lines, f"{PEOPLE} people, a backup of {backup:,} bytes", ""])


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: apt-get install curl")
def test_a_backup_is_restored_as_the_page_describes_it(
    service: Service, own_engines: Engines, tmp_path: Path
) -> None:  # I1, I6
    """It is closed until erasures were replayed; then it decides, and takes opt-outs."""
    database = own_engines.database
    assert isinstance(database, Postgres)
    folder, journal = tmp_path / "drill", tmp_path / "journal"
    folder.mkdir()
    journal.mkdir()
    service.settings = service.settings.model_copy(update={"erasure_journal": str(journal)})
    _begin(service)
    programs = database.program.sibling("pg_dump").parent
    drill = Drill(service.environ())
    drill.environ |= {
        "PATH": f"{programs}{os.pathsep}{drill.environ['PATH']}",
        "DRILL_URL": database.url_of("drill"),
        "DRILL": str(folder),
        "SITE": service.url,
        "MESSAGE_TYPE": "offers.weekly",
    }

    drill.next("Somebody opts out")
    drill.next("Back up")
    backup = (folder / "backup.dump").stat().st_size
    drill.next("Somebody is erased after the backup")
    drill.next("Restore")
    restored = {"DATABASE_URL": database.url_of("drill"), "ERASURE_JOURNAL": f"{folder}/journal"}
    service.extra = restored
    web = service.start("web")
    in_use, drill.environ = drill.environ, drill.environ | restored
    drill.next("Start `web`, and nothing else")
    refused = drill.next("Decisions are refused")
    assert "erasures-not-replayed" in refused
    assert refused.endswith(" 503\n")
    assert "1 erasures replayed" in drill.next("Replay")
    answered = drill.next("Decisions are answered")
    assert '"allow":false' in answered.replace(" ", "")
    assert answered.endswith(" 200\n")
    recorded = drill.next("An opt-out counts")
    assert recorded.startswith("200\n")
    assert '"allow":false' in recorded.replace(" ", "")
    drill.next("The evidence is whole")
    web.end()
    drill.environ = in_use
    drill.next("Clean up")
    assert not drill.steps
    assert not folder.exists()
    sys.stdout.write(drill.report(backup))


def _begin(service: Service) -> None:
    """A journal, and people who opted out before."""
    command = ["flask", "erasures", "start-journal", "--yes"]
    subprocess.run(command, cwd=ROOT, env=service.environ(), check=True, capture_output=True)
    with service.app.app_context():
        record([change(f"p{n}@example.com", EventKind.OPTED_OUT) for n in range(PEOPLE)])
