"""The PHP client: its own tests, run against the service on a port."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.contract import CLIENTS, examples

PHP = CLIENTS / "php"
SHOP = """
require 'vendor/autoload.php';
use PreferenceCenter\\Client\\{Client, LinkMinter};
new LinkMinter(getenv('PREFERENCE_CENTER_LINK_KEY'));
$client = new Client(getenv('PREFERENCE_CENTER_URL'), getenv('PREFERENCE_CENTER_KEY'));
echo $client->decide('offers.weekly', 'ada@example.com')->rule;
"""

AROUND_THE_README = """<?php
require getenv('AUTOLOAD');
$recipients = ['eve@example.com', 'not an address'];
$messageId = 'm-1';
function send() {}
"""


def program(name: str, package: str) -> str:
    """Where the program is; skips the test without it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {package}")
    return found


def run_tests(*options: str, **environ: str) -> str:
    """Run the client's tests, and return what PHPUnit reports. None may fail."""
    command = [program("phpunit", "phpunit"), "--display-skipped", *options]
    environ.setdefault("PATH", os.environ["PATH"])
    done = subprocess.run(
        command, cwd=PHP, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_client_works_with_the_service(service_environ: dict[str, str]) -> None:
    report = run_tests(**service_environ)
    assert re.search(r"^(OK \(|Tests: )1\d\d", report, re.MULTILINE), report
    assert "names no service" not in report


@pytest.mark.parametrize("library", ["Laravel", "Psr18"])
def test_it_works_with_the_libraries_of_others(library: str) -> None:
    report = run_tests("--filter", f"{library}Test")
    if "Skipped: " in report:
        pytest.skip(re.findall(r"^.* is missing: .*$", report, re.MULTILINE)[0])
    assert re.search(r"^OK \(\d", report, re.MULTILINE), report


def test_the_examples_of_its_readme_run(readme_environ: dict[str, str], tmp_path: Path) -> None:
    """As they are, one after the other, but for the method of a class of Laravel's."""
    code = [each for each in examples("php", "php") if "Headers" not in each]
    assert len(code) == 3
    page = tmp_path / "readme.php"
    page.write_text(
        "".join([AROUND_THE_README, *code, "echo $links->headers['List-Unsubscribe'];"])
    )
    environ = readme_environ | {"AUTOLOAD": str(PHP / "autoload.php")}
    done = subprocess.run(
        [program("php", "php-cli"), page], env=environ, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"<http://127\.0\.0\.1:\d+/u/~\S+>", done.stdout)


@pytest.mark.skipif("TEST_CLIENTS" not in os.environ, reason="make test-clients")
def test_what_composer_installs_works_with_the_service(
    service_environ: dict[str, str], tmp_path: Path
) -> None:
    """As a shop installs it: nothing but what the package names."""
    composer = program("composer", "composer")
    source = {"type": "path", "url": str(PHP), "options": {"symlink": False}}
    wanted = {
        "repositories": [source, {"packagist.org": False}],
        "require": {"preference-center/client": "*"},
    }
    (tmp_path / "composer.json").write_text(json.dumps(wanted))
    environ = service_environ | {"HOME": str(tmp_path), "COMPOSER_ALLOW_SUPERUSER": "1"}
    for command in (
        [composer, "install", "--no-interaction", "--quiet"],
        [composer, "validate", "--strict", "--no-check-version", str(PHP / "composer.json")],
    ):
        subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=True)
    shop = [program("php", "php-cli"), "-r", SHOP]
    done = subprocess.run(
        shop, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "not_opted_out"
