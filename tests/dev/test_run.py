"""`make run` from outside: what it prints is followed, its page is used, Ctrl-C is pressed."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from zoneinfo import ZoneInfo

import httpx
import pytest

from dev import run as run_module
from dev.accounts import data_folder, server_account
from dev.console import STAFF, StaffMember
from dev.demo.history import ADA, tuesday
from dev.engines import at
from dev.processes import wait_until
from dev.server import free_port
from dev.supervisor import Supervisor
from preference_center.__main__ import read_procfile
from preference_center.core.staff import Permission, permissions_of
from tests.dev.running import PATIENCE, Run, running

get = partial(httpx.get, timeout=PATIENCE)
post = partial(httpx.post, timeout=PATIENCE)

ROME = ZoneInfo("Europe/Rome")
ON_LINUX = pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="looks for processes in /proc"
)


def end(checkout: Path) -> None:
    """Leave nothing behind, whatever the test did."""
    folder = data_folder(checkout, server_account())
    if (folder / "run").exists():
        at(folder / "run", durable=True, environ={}).stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run that tests share: each takes a recipient of its own."""
    checkout = tmp_path_factory.mktemp("checkout")
    with running(checkout) as run:
        yield run
        assert run.stop(signal.SIGTERM) == 0
    end(checkout)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    end(tmp_path)


def test_the_shops_are_where_it_prints_and_load_the_consent_tool(run: Run) -> None:
    page = get(run.printed("Shops")).raise_for_status().text
    assert f"{run.site}/consent.js" in page
    config = get(f"{run.site}/consent/cascina/config.json").raise_for_status().json()
    refused = {"functional": False, "advertising": False}
    choice = {"choices": refused, "method": "refuse", "version": config["version"]}
    origin = {"Origin": run.printed("Shops")}  # that of the catalogue, at whatever port they are
    answer = post(f"{run.printed('Shops')}/consent", json=choice, headers=origin)
    assert answer.status_code == 201
    assert "pc_consent" in answer.cookies


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: apt-get install curl")
def test_an_opt_out_travels_from_the_printed_link_to_both_tools(run: Run) -> None:
    before, click, after = run.lines_to_try
    recipient = run.first_recipient
    assert recipient in before == after
    assert run.printed("Unsubscribe") in click
    assert run.is_on_in_both(recipient)
    # A machine that stands still answers 503 for a while.
    assert wait_until(lambda: json.loads(run.shell(before)).get("allow") is True, 30)
    assert run.shell(click) in {"200\n", "202\n"}  # 202: spooled, on a machine that stood still
    denied = "opted_out_of_topic"
    assert wait_until(lambda: json.loads(run.shell(after)).get("rule") == denied, 30)  # I2
    assert run.reaches_both(recipient)  # I3


def test_an_opt_out_while_redis_is_away_is_taken_and_reaches_the_tools_later(run: Run) -> None:
    run.press("recipients")
    recipient = run.recipient()
    assert 'Redis is <span class="off">stopped' in run.press("redis", wanted="stopped").text
    page = run.press("one-click").text  # I1
    assert "The POST was answered 200" in page
    assert "Email tool: waiting" in page
    assert run.is_on_in_both(recipient)
    assert 'Redis is <span class="on">running' in run.press("redis", wanted="running").text
    assert run.reaches_both(recipient)


def test_every_new_recipient_can_be_written_to(run: Run) -> None:
    first = run.recipient()
    run.press("recipients")
    assert run.recipient() != first
    assert run.is_on_in_both(run.recipient())


def test_the_variables_of_the_readme_are_printed(run: Run) -> None:
    found = dict(re.findall(r"^  (KEY|SITE|LINK)=(\S+)$", run.text, re.MULTILINE))
    assert found == {
        "KEY": run.printed("API key"),
        "SITE": run.site,
        "LINK": run.printed("Unsubscribe"),
    }


def test_the_printed_pages_are_there(run: Run) -> None:
    for label in ("Unsubscribe", "Preferences", "Demo", "Console", "API"):
        assert get(run.printed(label)).status_code == 200
    assert get(run.site).headers["location"] == "/dev"


def test_the_printed_commands_work_on_the_data_of_the_run(run: Run) -> None:
    printed = next(line for line in run.output_lines if line.startswith("  Commands "))
    line = printed.removeprefix("  Commands ").replace("--help", "keys list")
    assert "\ndemo\tactive" in run.shell(line)


def test_the_ledger_on_the_page_shows_no_address(run: Run) -> None:  # I12
    ledger = run.page().split('id="ledger"')[1]
    assert "consented" in ledger
    assert "@example" not in ledger


def test_a_page_of_another_site_can_press_nothing(run: Run) -> None:
    before = run.recipient()
    answer = post(f"{run.site}/dev/recipients", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert run.recipient() == before


@pytest.mark.parametrize("member", STAFF, ids=lambda member: member.name)
def test_one_click_opens_the_console_in_a_role(run: Run, member: StaffMember) -> None:
    assert f'name="name" value="{member.name}"' in run.page()
    with httpx.Client(base_url=run.console, follow_redirects=True, timeout=PATIENCE) as browser:
        page = browser.post("/console/sign-in-as", data={"name": member.name})
        assert page.status_code == 200
        assert page.url.path.startswith("/console/")
        assert member.name in page.text
        may_review = Permission.REVIEW in permissions_of(member.roles)
        assert browser.get("/console/review").status_code == (200 if may_review else 403)
        (cookie,) = browser.cookies.jar
        assert (cookie.name, cookie.path) == ("console", "/console")


def test_the_console_shows_a_past_pushed_to_every_tool_and_what_waits(run: Run) -> None:
    with httpx.Client(base_url=run.console, follow_redirects=True, timeout=PATIENCE) as browser:
        board = browser.post("/console/sign-in-as", data={"name": "dana"})
        board = browser.get("/console/window")
        assert "paused" in board.text
        assert browser.get("/console/review").text.count("The meaning of a reply is not clear") == 2
        form = browser.get("/console/people").text
        token = re.search(r'name="csrf_token" value="([^"]+)"', form)
        assert token
        wanted = {"csrf_token": token[1], "who": ADA, "reason": "called"}
        headers = {"Referer": f"{run.console}/console/people"}
        person = browser.post("/console/people", data=wanted, headers=headers)
        assert person.status_code == 200
        at = f"{tuesday(datetime.now(UTC)).astimezone(ROME):%d %b %Y, %H:%M}".lstrip("0")
        assert at in person.text
        assert "crm" in person.text


def test_another_site_can_sign_nobody_in_and_there_is_nobody_else(run: Run) -> None:
    url, name = f"{run.console}/console/sign-in-as", STAFF[0].name
    crossing = post(url, data={"name": name}, headers={"Sec-Fetch-Site": "cross-site"})
    assert crossing.status_code == 403
    assert post(url, data={"name": "nobody"}).status_code == 404
    assert get(url).status_code == 405  # I7
    assert get(f"{run.site}/console").status_code == 404


def test_each_process_has_the_internal_port_that_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    started: dict[str, Mapping[str, str]] = {}
    supervisor = SimpleNamespace(
        start=lambda name, _command, environ: started.update({name: environ})
    )
    run_module._start(cast("Supervisor", supervisor), {"INTERNAL_PORT": "8401"})
    assert [environ["INTERNAL_PORT"] for environ in started.values()] == [
        str(8401 + number) for number in range(len(read_procfile()))
    ]
    assert next(iter(started)) == "web"


@ON_LINUX
@pytest.mark.faults
def test_it_finds_its_data_after_ctrl_c_and_after_a_kill_and_leaves_no_process(
    checkout: Path,
) -> None:
    with running(checkout) as run:
        recipient, key, site = run.recipient(), run.printed("API key"), run.site
        run.press("redis", wanted="stopped")
        run.press("redis", wanted="running")  # a child of the web process now
        run.press("one-click")
        assert run.reaches_both(recipient)
        keys = (run.folder / "keys.env").read_text()
        assert len(run.processes()) > 5
        assert run.stop(signal.SIGINT) == 0
        assert run.output_lines[-1].startswith("Stopped.")
    assert not run.processes()
    with running(checkout, 0) as again:
        assert again.site == site  # where links in mails lead to
        assert again.printed("API key") == key
        assert (again.folder / "keys.env").read_text() == keys
        assert again.recipient() != recipient
        assert again.states(recipient) == ["off", "off"]
        assert "opted out" in again.page()
        left = again.processes()
        again.stop(signal.SIGKILL)
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), running(checkout, port) as third:
        assert not set(left) & set(third.processes())
        assert f"Port {port} (PORT) is taken: port " in third.text
        assert httpx.get(f"{third.site}/healthz").status_code == 200
        assert third.stop(signal.SIGHUP) == 0  # the terminal was closed
    assert not third.processes()


def test_what_is_kept_is_for_the_owner_only(run: Run) -> None:
    secrets = (
        "keys.env",
        "service.env",
        "api-key",
        "crm.secret",
        "email-tool.secret",
        "tools.json",
    )
    assert {(run.folder / name).stat().st_mode & 0o777 for name in secrets} == {0o600}
    assert (run.folder / "mails").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "public_url, folder", [("https://preferences.example.com", "/tmp"), ("http://127.0.0.1:1", "")]
)
def test_the_page_refuses_to_be_served_in_production(
    public_url: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "k1:" + "A" * 42
    environ = {
        "DATABASE_URL": "postgresql://nowhere.invalid/x",
        "REDIS_URL": "redis://nowhere.invalid/0",
        "PUBLIC_URL": public_url,
        "SECRET_KEY": "x" * 40,
        "DIGEST_KEYS": f"{key}A",
        "ENCRYPTION_KEYS": f"{key}B",
        "LINK_KEYS": f"{key}C",
        "PHONE_REGION": "IT",
        "TIME_ZONE": "Europe/Rome",
        "DEV_TOOLS_URL": "http://127.0.0.1:1",
    }
    monkeypatch.delenv("DEV_FOLDER", raising=False)
    environ |= {"DEV_FOLDER": folder} if folder else {}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "dev.site", raising=False)
    with pytest.raises(RuntimeError, match="for `make run` only"):
        import_module("dev.site")
