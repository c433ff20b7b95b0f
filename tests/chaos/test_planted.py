"""The bugs that are planted for chaos can still be planted."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from chaos.planting import PATCHES
from simulation.planting import ROOT


@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is missing: apt-get install patch")
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_planted_bug_still_applies(patch: Path) -> None:
    command = ["patch", "-p1", "-s", "-f", "--dry-run", "-i", str(patch)]
    came = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert came.returncode == 0, came.stdout + came.stderr
