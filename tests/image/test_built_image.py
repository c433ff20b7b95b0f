"""The built image, started as it says of itself, in front of real servers."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from dev.server import free_port
from preference_center.__main__ import read_procfile
from tests.image.container import Container, Image
from tests.image.service import Service

OTHERS = sorted(read_procfile().keys() - {"web"})


def test_a_one_click_reaches_the_image_and_the_next_decision_denies(  # I1 I2
    service: Service, web: Container
) -> None:
    made = service.command("keys", "add", "shop", "--scope", "check", "--scope", "links",
                           "--message-type", "*")  # fmt: skip
    key = made.split()[-1]
    who = {"message_type": "offers.weekly", "recipient": "ada@example.com"}
    assert service.post("/v1/decisions", key, who)["allow"] is True
    asked = {"address": "ada@example.com", "scope": "acme.offers"}
    link = str(service.post("/v1/links", key, asked)["unsubscribe_url"])
    answer = httpx.post(link, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    denied = service.post("/v1/decisions", key, who)
    assert (denied["allow"], denied["rule"]) == (False, "opted_out_of_topic")


def test_the_health_check_succeeds_while_the_process_is_there_and_only_then(
    service: Service, web: Container
) -> None:
    assert service.check_health(service.environ["INTERNAL_PORT"]) == 0
    assert service.check_health(str(free_port())) != 0


def test_every_process_in_the_image_is_the_user_of_the_image(
    image: Image, service: Service, web: Container
) -> None:
    status = Path(f"/proc/{web.first_process}/status").read_text().splitlines()
    user, group = image.configuration["User"].split(":")
    assert int(user)
    assert "\t".join(["Uid:", *[user] * 4]) in status
    assert "\t".join(["Gid:", *[group] * 4]) in status
    assert f"CapEff:\t{0:016x}" in status


def test_the_root_file_system_may_be_read_only(image: Image) -> None:
    folder = image.configuration["WorkingDir"]
    done = image.run(["touch", "/tmp/a", f"{folder}/a"], {})
    assert done.returncode
    assert "/tmp/a" not in done.stderr
    assert f"{folder}/a': Read-only file system" in done.stderr


def test_what_the_lock_names_is_installed_and_agrees(image: Image) -> None:
    done = image.run(["python", "-m", "pip", "check"], {"HOME": "/tmp"})
    assert done.returncode == 0, done.stdout
    listed = image.run(["python", "-m", "pip", "list", "--format", "freeze"], {"HOME": "/tmp"})
    found = dict(re.findall(r"^(\S+)==(\S+)$", listed.stdout, re.MULTILINE))
    assert "setuptools" not in found
    assert "dkimpy" in found


def test_bytecode_is_in_the_image(image: Image) -> None:
    program = (
        "import preference_center.__main__, argparse; "
        "[print(m.__cached__) for m in (preference_center.__main__, argparse)]"
    )
    printed = image.run(["python", "-c", program], {}).stdout.split()
    assert len(printed) == 2
    for path in printed:
        assert (image.root / path.lstrip("/")).exists(), path


@pytest.mark.parametrize("name", OTHERS)
def test_a_process_of_the_image_gets_ready_and_stops_when_asked(
    service: Service, web: Container, name: str
) -> None:
    names = ("INTERNAL_PORT", "MAIL_RECEIVER_PORT", "CONSOLE_PORT")
    ports = {each: str(free_port()) for each in names}
    with service.start(name, **ports) as container:
        service.wait_until_ready(container, ports["INTERNAL_PORT"])
        assert service.check_health(ports["INTERNAL_PORT"]) == 0
        assert container.stop() == 0, container.log.read_text()


def test_web_stops_when_asked(image: Image, service: Service) -> None:
    environ = {**service.environ, "PORT": str(free_port()), "INTERNAL_PORT": str(free_port())}
    second = Service(image, environ, service.logs)
    with second.start() as container:
        second.wait_until_ready(container)
        assert container.stop() == 0, container.log.read_text()
