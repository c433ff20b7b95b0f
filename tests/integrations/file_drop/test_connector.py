from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    DeliveryError,
    DestinationConfig,
    PushItem,
    PushResult,
)
from preference_center.integrations.file_drop.connector import COLUMNS, is_csv_safe
from preference_center.integrations.registry import make_connector
from tests.integrations.contract import ANNA, BO, NOW, ConnectorContract, Rig, lift, off, results
from tests.integrations.erase_contract import EraseContract, SmsEraseContract, erase
from tests.integrations.sms_contract import SmsContract


@dataclass(slots=True)
class Uploader:
    """A person who uploads each file, oldest version first, to a tool of their own."""

    folder: Path
    before: dict[str, set[str]]
    persons: set[str] = field(default_factory=set)

    def add(self, address: str) -> None:
        self.persons.add(address)

    def has(self, address: str) -> bool:
        erased = {row["address"] for row in rows(self.folder) if row["state"] == "erase"}
        return address in self.persons - erased

    def off(self, address: str) -> set[str]:
        held = set(self.before.get(address, set()))
        states = [row for row in rows(self.folder) if row["state"] != "erase"]
        for row in sorted(states, key=lambda row: int(row["version"])):
            if row["address"] == address and row["state"] == "off":
                held.add(row["topic"])
            elif row["address"] == address:
                held.discard(row["topic"])
        return held

    def turn_off(self, address: str, topic: str) -> None:
        self.before.setdefault(address, set()).add(topic)

    def requests(self) -> int:
        return len(list(self.folder.iterdir()))


def rows(folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += csv.DictReader(file)
    return found


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(
        "file_drop", DestinationConfig("printer", {"folder": str(tmp_path)}), Uploader(tmp_path, {})
    )


class TestFileDrop(ConnectorContract, SmsContract, EraseContract, SmsEraseContract):
    pass


def test_who_is_erased_has_a_row_in_a_file_of_its_own(rig: Rig, tmp_path: Path) -> None:
    outcomes = erase(rig, ANNA, "=1@example.com")
    assert results(outcomes) == {0: PushResult.REFLECTED, 1: PushResult.REFUSED}
    (file,) = tmp_path.iterdir()
    assert "-erase-" in file.name
    assert file.name not in outcomes[0].ack
    assert rows(tmp_path) == [
        {
            "address": ANNA,
            "channel": "email",
            "topic": "*",
            "state": "erase",
            "since": "",
            "version": "",
            "frequency": "",
        }
    ]


def test_a_file_is_named_by_time_and_content_and_acknowledged_by_that(
    rig: Rig, tmp_path: Path
) -> None:
    outcomes = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("20261125T120000Z-")
    assert {outcome.ack for outcome in outcomes.values()} == {file.name}


def test_a_retry_of_the_same_states_makes_no_second_file(rig: Rig, tmp_path: Path) -> None:
    batch = [off(1, ANNA, "news"), off(2, BO, "news")]
    rig.make().push(batch)
    rig.make(now=lambda: NOW + timedelta(hours=1)).push(batch)
    assert len(list(tmp_path.iterdir())) == 1
    rig.make(now=lambda: NOW + timedelta(hours=2)).push([off(1, ANNA, "news", version=3)])
    assert len(list(tmp_path.iterdir())) == 2


def test_a_pause_that_ends_is_no_retry_though_its_version_is_the_same(
    rig: Rig, tmp_path: Path
) -> None:
    rig.make().push([off(1, ANNA, "news")])
    rig.make().push([lift(1, ANNA, "news", version=1)])
    assert len(list(tmp_path.iterdir())) == 2


def test_the_rows_say_what_the_documented_columns_promise(rig: Rig, tmp_path: Path) -> None:
    item = PushItem(
        ref=1,
        address="+393331234567",
        channel=Channel.SMS,
        off=frozenset({"news"}),
        lift=frozenset({"offers"}),
        all_off=True,
        version=9,
        since=NOW,
        frequencies={"offers": "monthly"},
    )
    named = replace(rig, setup=replace(rig.setup, topics={"news": "List A"}))
    named.make().push([item])
    common = {
        "address": "+393331234567",
        "channel": "sms",
        "since": "2026-11-25T12:00:00+00:00",
        "version": "9",
        "frequency": "",
    }
    assert rows(tmp_path) == [
        common | {"topic": "*", "state": "off"},
        common | {"topic": "List A", "state": "off"},
        common | {"topic": "offers", "state": "on"},
        common | {"topic": "offers", "state": "frequency", "frequency": "monthly"},
    ]
    assert list(rows(tmp_path)[0]) == list(COLUMNS)


def test_the_columns_are_documented() -> None:
    page = Path(__file__).parents[3] / "docs" / "file-drop.md"
    documented = re.findall(r"^\| `(\w+)` \|", page.read_text(), re.MULTILINE)
    assert documented == list(COLUMNS)


@pytest.mark.parametrize(
    "address", ["=1+1@example.com", "+a@example.com", "-x@example.com", "@SUM(1)", "|x@example.com"]
)
def test_an_address_that_a_spreadsheet_would_run_is_left_to_a_person(
    rig: Rig, tmp_path: Path, address: str
) -> None:
    found = rig.make().push([off(1, address, "news"), off(2, ANNA, "news")])
    assert results(found) == {1: PushResult.REFUSED, 2: PushResult.REFLECTED}
    assert [row["address"] for row in rows(tmp_path)] == [ANNA]


def test_no_cell_begins_a_formula(rig: Rig, tmp_path: Path) -> None:
    evil = replace(rig, setup=replace(rig.setup, topics={"news": '=HYPERLINK("http://x","y")'}))
    evil.make().push([off(1, ANNA, "news")])
    assert all(is_csv_safe(cell) for row in rows(tmp_path) for cell in row.values())


def test_only_plain_phone_numbers_may_begin_with_plus() -> None:
    assert all(map(is_csv_safe, ["+393331234567", "a=b@example.com", ""]))
    assert not any(map(is_csv_safe, ["+39=1", "+39 333", "+", "\t=1"]))


def test_nothing_but_whole_files_is_ever_seen(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        assert list(tmp_path.glob("*.csv")) == []  # still under its scratch name
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(DeliveryError, match="No space left") as caught:
        rig.make().push([off(1, ANNA, "news")])
    assert not caught.value.permanent
    assert list(tmp_path.iterdir()) == []


def test_files_are_not_for_everybody_to_read(rig: Rig, tmp_path: Path) -> None:
    rig.make().push([off(1, ANNA, "news")])
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o007 == 0


def test_a_folder_that_went_away_stops_the_destination(rig: Rig, tmp_path: Path) -> None:
    connector = rig.make()
    tmp_path.rmdir()
    with pytest.raises(DeliveryError) as caught:
        connector.push([lift(1, ANNA, "news")])
    assert caught.value.permanent
    tmp_path.mkdir()


@pytest.mark.parametrize("folder", ["drop", "/no/such/folder"])
def test_check_reports_a_folder_that_can_not_be_used(rig: Rig, folder: str) -> None:
    settings: Mapping[str, str] = {"folder": folder}
    (problem,) = (
        make_connector("file_drop", replace(rig.setup, settings=settings), rig.http)
        .check()
        .problems
    )
    assert problem.startswith("folder")


@pytest.mark.parametrize("place", ["outside", "link", "dots", "nowhere"])
def test_a_local_folder_lies_below_the_root_that_the_operator_has_set(
    rig: Rig, tmp_path: Path, place: str
) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for each in (root, outside):
        each.mkdir()
    (root / "link").symlink_to(outside)
    folder = {"link": root / "link", "dots": root / ".." / "outside"}.get(place, outside)
    allowed = None if place == "nowhere" else root
    setup = replace(rig.setup, settings={"folder": str(folder)})
    connector = replace(rig, setup=setup).make(file_root=allowed)
    (problem,) = connector.check().problems
    assert problem.startswith("folder: it is not below FILE_DROP_ROOT")
    with pytest.raises(DeliveryError, match="FILE_DROP_ROOT") as caught:
        connector.push([off(1, ANNA, "news")])
    assert caught.value.permanent
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "folder", ["sftp://[::1", "sftp://u@h:99999999/in", "sftp://u@h:x/in", "s3://[", "/a" * 9_000]
)
def test_a_folder_that_is_none_is_a_problem_of_its_field_and_no_crash(
    rig: Rig, folder: str
) -> None:
    connector = replace(rig, setup=replace(rig.setup, settings={"folder": folder})).make()
    (problem,) = connector.check().problems
    assert problem.startswith("folder: it can't be read")
    assert folder not in problem
    with pytest.raises(DeliveryError):
        connector.push([off(1, ANNA, "news")])
