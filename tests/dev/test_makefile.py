"""What `make` says while it installs, with a stand-in for pip."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dev.engines import CHECKOUT

PIP = """#!/bin/bash
case "$*" in *'pip install'*)
    for number in {1..20}; do echo "Collecting package$number"; done
    for _ in {1..100}; do [ -e resume ] || sleep 0.05; done
    [ -e resume ] || exit 9
    echo '  Installing build dependencies: done'
    echo 'Installing collected packages: all'
    exit "$(cat status)" ;;
esac
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="no make: apt-get install make")
@pytest.mark.parametrize("status", [0, 3])
def test_the_packages_are_counted_while_they_are_found(tmp_path: Path, status: int) -> None:
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    (tmp_path / "requirements-dev.lock").write_text("a==1\n" * 25)
    (tmp_path / "status").write_text(str(status))
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(PIP)
    python.chmod(0o755)
    make = subprocess.Popen(
        ["make", ".venv/ready"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert make.stdout
    with make, make.stdout as output:
        assert "Installing 25 packages" in output.readline()
        assert output.readline() == "  found 20 of 25\n"  # while pip waits
        (tmp_path / "resume").touch()
        assert output.read() == "  unpacking all of them\n"
    assert (make.returncode == 0) is (status == 0)
    assert (tmp_path / ".venv/ready").exists() is (status == 0)
