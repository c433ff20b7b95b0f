"""The program `preference-center`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from preference_center import __version__
from preference_center.__main__ import build_program, process_environment, read_procfile
from preference_center.infra import commands
from preference_center.infra.files import ROOT


def test_every_command_and_process_is_there_once() -> None:
    processes = read_procfile()
    assert "web" in processes
    assert not processes.keys() & {*commands.COMMANDS, "run"}  # one would hide the other
    shown = CliRunner().invoke(build_program(), ["--help"], prog_name="preference-center")
    assert shown.exit_code == 0
    for name in (*processes, *commands.COMMANDS, "run"):
        assert f"\n  {name} " in shown.output, name


def test_the_version_is_that_of_the_package() -> None:
    shown = CliRunner().invoke(build_program(), ["--version"])
    assert shown.output == f"preference-center, version {__version__}\n"


def test_commands_that_need_no_settings_run_in_any_folder(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "preference_center", "keys", "generate"],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    settings = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert list(settings) == ["DIGEST_KEYS", "ENCRYPTION_KEYS", "LINK_KEYS", "SECRET_KEY"]
    assert len(set(settings.values())) == len(settings)


def test_a_process_is_what_the_procfile_says_in_any_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "preference_center", "scheduler"],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "DATABASE_URL: Field required" in done.stderr  # the scheduler's own start


def test_the_environment_of_a_process_keeps_what_is_in_it() -> None:
    environ = process_environment({"PATH": "/bin", "PYTHONPATH": "/a", "WEB_WORKERS": "3"})
    assert environ["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/bin"]
    assert environ["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "/a"]
    assert environ["WEB_WORKERS"] == "3"
    assert process_environment({})["PYTHONPATH"] == str(ROOT)
