"""The wheel: all that the service and its demo need, and it runs where nothing else is installed.

`make test-wheel` installs it into an empty environment, away from the checkout.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from dev.processes import wait_until
from dev.server import free_port

ROOT = Path(__file__).resolve().parents[2]
MOVED = ("deploy/consent", "dev", "migrations", "templates", "workers")
PATIENCE = 90

RUNS_IT = pytest.mark.skipif(
    "TEST_WHEEL" not in os.environ, reason="asks the index for everything: make test-wheel"
)


@dataclass(frozen=True)
class Built:
    """What was built."""

    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Both as a release has them, the wheel made from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    words = [
        "--quiet",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--out-dir",
        str(folder),
    ]
    subprocess.run([*uv("build"), *words, str(ROOT)], check=True)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Built(sdist, wheel)


def uv(*words: str) -> list[str]:
    return [str(Path(sys.executable).parent / "uv"), *words]


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


def test_the_wheel_holds_every_file_and_claims_one_name(built: Built) -> None:
    files = {name for name in ZipFile(built.wheel).namelist() if not name.endswith("/")}
    assert {name.split("/")[0] for name in files if ".dist-info/" not in name} == {
        "preference_center"
    }
    assert tracked("preference_center") <= files
    moved = tracked(*MOVED) - tracked("dev/maintenance")
    assert {f"preference_center/_root/{name}" for name in moved} <= files
    assert not [name for name in files if "maintenance" in name]
    assert "preference_center/_root/Procfile" in files


def test_the_sdist_makes_the_wheel_and_no_more(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames()}
    assert not tops & {".venv", ".data", "tests", "bench", "clients"}
    assert {"pyproject.toml", "Procfile", "templates", "migrations", "LICENSE"} <= tops


@pytest.fixture(scope="module")
def environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel with its demo, and nothing of this checkout."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run(uv("venv", "--quiet", "--python", sys.executable, str(folder)), check=True)
    python = str(folder / "bin/python")
    package = f"preference-center[demo] @ {built.wheel.as_uri()}"
    subprocess.run(uv("pip", "install", "--quiet", "--python", python, package), check=True)
    return folder


@dataclass
class Demo:
    """The demo of the wheel as it runs."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text()

    def printed(self, label: str) -> str:
        found = re.search(rf"^  {label} +(\S+)$", self.text, re.MULTILINE)
        assert found, self.text
        return found[1]

    def decide(self) -> dict[str, object]:
        recipient = re.search(r'"recipient": "([^"]+)"', self.text)
        assert recipient
        answer = httpx.post(
            f"{self.printed('Site')}/v1/decisions",
            json={"message_type": "newsletter.monthly", "recipient": recipient[1]},
            headers={"Authorization": f"Bearer {self.printed('API key')}"},
        )
        found: dict[str, object] = answer.raise_for_status().json()
        return found


@pytest.fixture(scope="module")
def demo(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    log = elsewhere / "output"
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(elsewhere), "PORT": str(free_port())}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [environment / "bin/preference-center", "run"],
            cwd=elsewhere,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        demo = Demo(process, log)
        try:
            is_up = wait_until(
                lambda: demo.text.count("  curl ") == 3 or process.poll() is not None, PATIENCE
            )
            assert is_up, demo.text
            yield demo
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0, demo.text
    assert "`preference-center run` finds it again" in demo.text
    forget = [str(environment / "bin/preference-center"), "run", "--forget"]
    assert b"Deleted" in subprocess.run(
        forget, env=environ, capture_output=True, check=True, cwd=elsewhere
    ).stdout  # fmt: skip


@RUNS_IT
def test_an_opt_out_in_the_demo_of_the_wheel_is_in_the_next_decision(demo: Demo) -> None:  # I2
    assert demo.decide()["allow"] is True
    link = demo.printed("Unsubscribe")
    answer = httpx.post(link, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert demo.decide()["rule"] == "opted_out_of_topic"


@RUNS_IT
def test_the_pages_of_the_wheel_have_their_texts_and_looks(demo: Demo) -> None:
    page = httpx.get(demo.printed("Preferences"), headers={"Accept-Language": "de"})
    assert 'lang="de"' in page.text
    assert httpx.get(f"{demo.printed('Site')}/v1/docs").status_code == 200


@RUNS_IT
def test_the_printed_commands_of_the_wheel_work(demo: Demo) -> None:
    printed = re.search(r"^  Commands +(.+) --help$", demo.text, re.MULTILINE)
    assert printed
    listed = subprocess.run(
        [*printed[1].split(), "keys", "list"], capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    assert "\ndemo\tactive\t" in f"\n{listed}"


@RUNS_IT
def test_a_process_that_lacks_settings_names_them(environment: Path) -> None:
    done = subprocess.run(
        [environment / "bin/preference-center", "scheduler"],
        env={"PATH": "/usr/bin:/bin"}, cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode
    assert "DATABASE_URL: Field required" in done.stderr


@RUNS_IT
def test_uvx_runs_the_wheel(built: Built) -> None:
    command = ["tool", "run", "--quiet", "--from", str(built.wheel), "preference-center", "--help"]
    done = subprocess.run(uv(*command), capture_output=True, text=True, check=True, cwd="/")
    assert "opt-out" in done.stdout
