"""The file drop on an SFTP server; in S3 it is tried by `make test-real`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushResult,
)
from preference_center.integrations.base.http import HttpContext
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
