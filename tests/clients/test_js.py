"""The JavaScript client: its own tests, run against the service on a port."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from dev.client_tools import NODE_MODULES
from preference_center.domain.decisions import DecisionRule
from preference_center.domain.sender_requests import ReceivedVia
from tests.clients.contract import CLIENTS

JS = CLIENTS / "js"
TYPES = (JS / "src" / "index.d.ts").read_text(encoding="utf-8")


def run_tests(node: str | Path, environ: Mapping[str, str]) -> None:
    """Run the client's tests with this Node.js; none may fail or be skipped."""
    done = subprocess.run(
        [node, "--test"], cwd=JS, env=dict(environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^\S+ (pass|fail|skipped) (\d+)$", done.stdout, re.MULTILINE))
    assert int(counts["pass"]) > 100
    assert (counts["fail"], counts["skipped"]) == ("0", "0")


def test_the_client_works_with_the_service(service_environ: dict[str, str]) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js here")
    run_tests(node, service_environ)


def test_its_types_have_every_rule_of_a_decision() -> None:
    union = TYPES.partition("export type DecisionRule =")[2].partition(";")[0]
    assert set(re.findall(r"'(\w+)'", union)) == {rule.value for rule in DecisionRule}


def test_its_types_have_every_way_in_which_an_opt_out_is_received() -> None:
    union = TYPES.partition("  via: ")[2].partition(";")[0]
    assert set(re.findall(r"'(\w+)'", union)) == {via.value for via in ReceivedVia}


@pytest.mark.skipif("TEST_CLIENTS" not in os.environ, reason="make test-clients")
def test_its_code_has_the_types_that_it_declares(tmp_path: Path) -> None:
    if not NODE_MODULES.exists():
        pytest.skip("there is no npm here")
    shutil.copytree(JS, tmp_path / "js")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    compiler = [str(NODE_MODULES / ".bin" / "tsc"), "--project", "js"]
    done = subprocess.run(compiler, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
