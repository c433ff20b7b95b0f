"""The Dockerfile and compose.yaml, as far as reading them shows; tests/image builds and starts."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from preference_center.__main__ import read_procfile
from preference_center.infra.config import Settings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {name.upper(): field for name, field in Settings.model_fields.items()}


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text()
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [
        (line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in lines if line.strip()
    ]


def environment() -> dict[str, str]:
    text = " ".join(words for name, words in instructions() if name == "ENV")
    return dict(re.findall(r"(\w+)=(\S+)", text))


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())[
        "services"
    ]
    return found


def ours() -> dict[str, dict[str, Any]]:
    return {name: each for name, each in services().items() if "build" in each}


def test_the_image_holds_all_that_the_service_imports_and_reads() -> None:
    copied = {
        word
        for name, words in instructions()
        if name == "COPY" and not words.startswith("--from")
        for word in words.split()[:-1]
    }
    assert copied >= {
        "app.py",
        "preference_center",
        "workers",
        "templates",
        "migrations",
        "Procfile",
    }
    allowed = (ROOT / ".dockerignore").read_text().split()
    assert {f"!{name}" for name in copied} == {line for line in allowed if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)


def locked() -> set[str]:
    text = (ROOT / "requirements-image.lock").read_text()
    return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))


def test_the_image_has_every_extra_but_two() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra, wanted in project["optional-dependencies"].items():
        names = {re.split(r"[\[<>=]", each)[0] for each in wanted}
        assert (names <= locked()) is (extra not in {"demo", "spark"}), extra


def installs() -> list[str]:
    """The words of each `pip install`."""
    (run,) = (words for name, words in instructions() if name == "RUN" and "pip install" in words)
    assert "PIP_REQUIRE_HASHES=1" in run
    assert "PIP_NO_CACHE_DIR=1" in run
    return re.findall(r"pip install (.+?) &&", run)


def test_packages_are_taken_by_hash_and_pip_fetches_nothing_else_to_build_with() -> None:
    tools, packages = installs()
    assert tools.split()[-2:] == ["-r", "requirements-build.lock"]
    assert packages.split()[-2:] == ["-r", "requirements-image.lock"]
    for words in (tools, packages):
        assert "--only-binary :all:" in words
    assert "--no-build-isolation" in packages


@pytest.mark.parametrize("version", [(3, 11), (3, 13)], ids=["official", "Debian's"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_package_of_the_image_has_a_wheel_or_is_built_by_name(
    version: tuple[int, int], machine: str
) -> None:
    fits = wheel_tags(version, machine)
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    has_wheel = {
        package["name"]
        for package in packages
        for wheel in package.get("wheels", ())
        if parse_wheel_filename(wheel["url"].rpartition("/")[2])[3] & fits
    }
    assert locked() - has_wheel == set(re.findall(r"--no-binary (\S+)", installs()[1]))


def wheel_tags(version: tuple[int, int], machine: str) -> frozenset[Tag]:
    """What pip takes on Debian 12 or newer, which has glibc 2.36."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 4, -1)]
    platforms += [f"manylinux{name}_{machine}" for name in ("2014", "2010", "1")]
    interpreter = f"cp{version[0]}{version[1]}"
    return frozenset(cpython_tags(version, platforms=platforms)) | frozenset(
        compatible_tags(version, interpreter, platforms)
    )


def test_every_image_is_taken_by_digest() -> None:
    stages, images = set(), [each["image"] for each in services().values() if "build" not in each]
    arguments = dict(words.split("=", 1) for name, words in instructions() if name == "ARG")
    for name, words in instructions():
        if name == "FROM":
            image, _, stage = words.partition(" AS ")
            image = re.sub(r"^\$\{(\w+)\}$", lambda found: arguments[found[1]], image)
            images += [] if image in stages else [image]
            stages.add(stage)
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(r"[a-z/]+:[\w.-]+@sha256:[0-9a-f]{64}", image), image


def test_dependabot_renews_the_digests_of_both_files() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    assert {each["package-ecosystem"] for each in updates} >= {"docker", "docker-compose"}


def test_the_image_runs_as_nobody_in_particular() -> None:
    names = [name for name, _ in instructions()]
    (user,) = (words for name, words in instructions() if name == "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert not {"RUN", "COPY", "ADD"} & set(names[names.index("USER") :])
    assert "ADD" not in names
    assert not environment().keys() & {
        name for name, each in SETTINGS.items() if each.is_required()
    }


def test_the_image_starts_the_program_and_asks_for_life_only() -> None:
    found = dict(instructions())
    assert json.loads(found["ENTRYPOINT"]) == ["python", "-m", "preference_center"]
    assert json.loads(found["CMD"])[0] in read_procfile()
    check = found["HEALTHCHECK"]
    assert "/livez" in check
    assert "INTERNAL_PORT" in check
    words = json.loads(check.partition(" CMD ")[2])
    compile(words[2], "HEALTHCHECK", "exec")
    assert environment()["INTERNAL_PORT"] in found["EXPOSE"].split()


def test_compose_passes_every_setting_and_nothing_else() -> None:
    for name, service in ours().items():
        assert set(service["environment"]) == {*SETTINGS, "WEB_WORKERS"}, name
    asked = {key for key, value in ours()["web"]["environment"].items() if ":?" in str(value)}
    required = {name for name, each in SETTINGS.items() if each.is_required()}
    assert required <= asked | {"REDIS_URL"}


def test_compose_counts_the_proxy_on_its_host() -> None:
    web = ours()["web"]
    assert web["environment"]["TRUSTED_PROXIES"] == "${TRUSTED_PROXIES-1}"
    assert all(port.startswith("127.0.0.1:") for port in web["ports"])  # nobody comes past it


def test_compose_starts_every_process() -> None:
    commands = {each["command"][0] for each in ours().values()}
    assert commands == {*read_procfile(), "db"}


def test_compose_gives_no_process_a_right_or_a_place_to_write() -> None:
    for name, service in ours().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"]
        assert service["tmpfs"] == ["/tmp"]
        assert "no-new-privileges:true" in service["security_opt"]
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")
    spool = ours()["web"]["environment"]["SPOOL_DIR"]
    for name in ("web", "mail"):  # I1
        assert f"spool:{spool}" in ours()[name]["volumes"]
