"""The file drop on an SFTP server; in S3 it is tried by `make test-real`."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from preference_center.core.networks import parse_private_networks
from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushResult,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.network import system_resolve
from preference_center.integrations.file_drop.client import DropFolder
from preference_center.integrations.file_drop.remote_folders import S3Folder
from preference_center.integrations.registry import DestinationConfigError
from tests.integrations.contract import ANNA, BO, ConnectorContract, Rig, lift, off, results
from tests.integrations.file_drop.test_connector import Uploader, rows
from tests.integrations.tools.sftp import PASSWORD, USER, SftpStandIn


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpStandIn]:
    (tmp_path / "drop").mkdir()
    with SftpStandIn(tmp_path) as server:
        yield server


@pytest.fixture
def folder(server: SftpStandIn) -> Path:
    return server.root / "drop"


@pytest.fixture
def rig(server: SftpStandIn, folder: Path) -> Rig:
    settings = {
        "folder": f"sftp://{USER}@{server.host}/drop",
        "host_key": server.key.fingerprint,
        "password": PASSWORD,
    }
    return Rig("file_drop", DestinationConfig("printer", settings), Uploader(folder, {}))


def with_settings(rig: Rig, **settings: str) -> Rig:
    return replace(rig, setup=replace(rig.setup, settings={**rig.setup.settings, **settings}))


class TestSftpDrop(ConnectorContract):
    pass


def test_a_file_has_the_acknowledged_name_and_is_not_for_everybody(rig: Rig, folder: Path) -> None:
    outcomes = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    (file,) = folder.iterdir()
    assert {outcome.ack for outcome in outcomes.values()} == {file.name}
    assert file.name.startswith("20261125T120000Z-")
    assert file.stat().st_mode & 0o007 == 0


def test_a_retry_of_the_same_states_makes_no_second_file(rig: Rig, folder: Path) -> None:
    for _ in range(2):
        rig.make().push([off(1, ANNA, "news")])
    assert len(list(folder.iterdir())) == 1


def test_a_server_with_another_key_gets_no_address(rig: Rig, folder: Path) -> None:
    stranger = paramiko.ECDSAKey.generate().fingerprint
    connector = with_settings(rig, host_key=stranger).make()
    assert connector.check().problems == ("printer: its key is not host_key: fix it",)
    with pytest.raises(DeliveryError) as caught:
        connector.push([off(1, ANNA, "news")])
    assert caught.value.permanent
    assert list(folder.iterdir()) == []


def test_one_of_several_keys_is_enough(rig: Rig, server: SftpStandIn) -> None:
    both = f"SHA256:old {server.key.fingerprint}"
    assert with_settings(rig, host_key=both).make().check().ok


def test_credentials_that_are_revoked_stop_the_destination(rig: Rig, server: SftpStandIn) -> None:
    connector = rig.make()
    connector.push([off(1, ANNA, "news")])
    server.password = "another"
    with pytest.raises(DeliveryError, match="log-in refused") as caught:
        connector.push([off(2, BO, "news")])
    assert caught.value.permanent
    assert not connector.check().ok


def test_a_key_file_serves_in_the_passwords_place(
    rig: Rig, server: SftpStandIn, tmp_path: Path
) -> None:
    server.user_key = paramiko.ECDSAKey.generate()
    path = tmp_path / "id"
    server.user_key.write_private_key_file(str(path))
    settings = {name: value for name, value in rig.setup.settings.items() if name != "password"}
    rig = replace(rig, setup=replace(rig.setup, settings={**settings, "key_file": str(path)}))
    assert rig.make().check().ok


def test_nothing_is_left_of_a_file_that_was_not_taken_whole(
    rig: Rig, server: SftpStandIn, folder: Path
) -> None:
    server.breaks = True
    with pytest.raises(DeliveryError) as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert not caught.value.permanent
    assert ANNA not in str(caught.value)  # I12
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("away", ["server", "folder"])
def test_a_server_that_is_down_or_full_is_tried_again(
    rig: Rig, server: SftpStandIn, away: str
) -> None:
    connector = rig.make()
    if away == "server":
        server.__exit__()
    server.full = True
    with pytest.raises(DeliveryError) as caught:
        connector.push([off(1, ANNA, "news")])
    assert not caught.value.permanent
    if away == "folder":
        server.full = False
        assert results(connector.push([lift(1, ANNA, "news")])) == {1: PushResult.REFLECTED}


def test_a_folder_that_is_not_there_is_reported(rig: Rig, folder: Path) -> None:
    folder.rmdir()
    (problem,) = rig.make().check().problems
    assert "make it" in problem
    with pytest.raises(DeliveryError) as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert caught.value.permanent


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"folder": "sftp://127.0.0.1/drop"}, "user@host"),
        ({"folder": "sftp://u:secret@127.0.0.1/drop"}, "a setting of its own"),
        ({"host_key": ""}, "fingerprint"),
        ({"host_key": "AAAAB3Nza"}, "fingerprint"),
        ({"password": ""}, "one of them"),
        ({"key_file": "/no/such/key"}, "can't read"),
        ({"folder": "s3:///drop"}, "s3://bucket"),
        ({"folder": "s3://bucket/drop", "access_key_id": "AKIA"}, "write both"),
        ({"folder": "ftp://u@host/drop"}, "sftp://"),
    ],
)
def test_settings_that_make_no_sense_are_reported_with_the_remedy(
    settings: dict[str, str], message: str
) -> None:
    given = {"folder": f"sftp://{USER}@127.0.0.1/drop", "host_key": "SHA256:x", "password": "p"}
    rig = Rig(
        "file_drop",
        DestinationConfig("printer", given | settings),
        Uploader(Path(), {}),
        HttpContext(),
    )
    (problem,) = rig.make().check().problems
    assert message in problem


@pytest.mark.parametrize("library, url", [("paramiko", "sftp://u@host/x"), ("s3fs", "s3://b/x")])
def test_without_the_extra_the_set_up_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str, url: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(
        sys.modules, "preference_center.integrations.file_drop.remote_folders", raising=False
    )
    drop = Rig("file_drop", DestinationConfig("printer", {"folder": url}), Uploader(tmp_path, {}))
    with pytest.raises(DestinationConfigError, match=r"'preference-center\[drop\]'"):
        drop.make()
    assert with_settings(drop, folder=str(tmp_path)).make().check().ok


def test_rows_are_those_of_a_folder_of_this_machine(rig: Rig, folder: Path) -> None:
    rig.make().push([off(1, "büro@exämple.com", "news")])
    assert [row["address"] for row in rows(folder)] == ["büro@exämple.com"]


INSIDE = "printer: folder: the host resolves to an address that is not public"


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.7", "[::1]", "169.254.169.254", "0.0.0.0"])
def test_no_password_is_sent_to_an_address_inside_the_network(
    rig: Rig, server: SftpStandIn, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: object, **__: object) -> None:
        pytest.fail("a connection was begun")

    monkeypatch.setattr("socket.create_connection", connect)
    port = server.host.rpartition(":")[2]
    connector = with_settings(rig, folder=f"sftp://{USER}@{host}:{port}/drop").make(
        allow_private=False, resolve=system_resolve
    )
    assert connector.check().problems == (INSIDE,)
    with pytest.raises(DeliveryError, match="not public") as caught:
        connector.push([off(1, ANNA, "news")])
    assert caught.value.permanent


def test_a_name_that_leads_inside_the_network_is_refused(rig: Rig) -> None:
    connector = rig.make(allow_private=False, resolve=lambda *_: ["198.51.100.7", "127.0.0.1"])
    assert connector.check().problems == (INSIDE,)


def test_an_operator_permits_a_network_that_the_destination_names(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[object] = []

    def connect(address: object, _timeout: float) -> None:
        called.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.create_connection", connect)
    inside = parse_private_networks("10.0.0.0/8")
    folder = f"sftp://{USER}@sftp.example.com/drop"
    named = with_settings(rig, folder=folder, private_networks="10.1.0.0/16")

    def resolve(*_: object) -> list[str]:
        return ["10.1.0.7"]

    named.make(allow_private=False, private_networks=inside, resolve=resolve).check()
    assert called == [("10.1.0.7", 22)]
    (problem,) = named.make(allow_private=False, resolve=resolve).check().problems
    assert "private_networks: they must lie inside" in problem
    assert len(called) == 1


S3 = {"folder": "s3://bucket/in", "region": "eu-south-1"}


def s3(http: HttpContext, **settings: str) -> DropFolder:
    keys = {"access_key_id": "AK", "secret_access_key": "secret"}
    return S3Folder(DestinationConfig("printer", {**S3, **keys, **settings}), http)


@pytest.mark.parametrize(
    "base_url, problem",
    [
        ("http://127.0.0.1:9000", "resolves to an address that is not public"),
        ("https://127.0.0.1:9000", "resolves to an address that is not public"),
        ("https://[::1]", "resolves to an address that is not public"),
        ("http://8.8.8.8", "must begin with https://"),
        ("no url", "must begin with https://"),
        ("https://[::1", "can't be read"),
        ("https://h:99999999", "can't be read"),
        (f"https://{'a' * 70}.example", "the host can't be read"),
    ],
)
def test_an_address_that_s3_may_not_have_is_a_problem_of_its_field(
    base_url: str, problem: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(S3Folder, "_files", property(lambda _: pytest.fail("it was asked")))
    folder = s3(HttpContext(), base_url=base_url)
    (found,) = folder.check().problems
    assert found.startswith("printer: base_url: ")
    assert problem in found
    with pytest.raises(DeliveryError) as caught:
        folder.write_file("a.csv", ".csv", b"")
    assert caught.value.permanent
    assert base_url not in caplog.text


def test_what_a_name_of_s3_leads_to_when_it_is_called_is_checked(rig: Rig) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.2)
        port = listening.getsockname()[1]
        # A name with a public address at first, and ours when it is called (DNS rebinding).
        folder = s3(
            HttpContext(resolve=lambda *_: ["8.8.8.8"]), base_url=f"https://localhost:{port}"
        )
        (problem,) = folder.check().problems
        assert "S3 can't be reached" in problem
        with pytest.raises(TimeoutError):
            listening.accept()
