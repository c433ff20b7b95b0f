"""The file drop in a bucket of S3, which moto keeps."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import httpx
import pytest

from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext
from tests.integrations.contract import ANNA, BO, NOW, ConnectorContract, Rig, off
from tests.real.conftest import Start
from tests.real.tools.moto import KEY, REGION, SECRET

BUCKET, FOLDER = "printers", "in/new"


@dataclass(slots=True)
class Objects:
    """Who uploads each file, oldest version first; reads the bucket by S3's own API."""

    client: httpx.Client
    before: dict[str, set[str]] = field(default_factory=dict)

    def names(self) -> list[str]:
        listed = self.client.get(f"/{BUCKET}", params={"list-type": "2"}).raise_for_status()
        return re.findall(r"<Key>(.*?)</Key>", listed.text)

    def rows(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for name in self.names():
            text = self.client.get(f"/{BUCKET}/{name}").raise_for_status().content.decode()
            found += csv.DictReader(text.splitlines())
        return sorted(found, key=lambda row: int(row["version"]))

    def off(self, address: str) -> set[str]:
        held = set(self.before.get(address, set()))
        for row in self.rows():
            if row["address"] == address and row["state"] == "off":
                held.add(row["topic"])
            elif row["address"] == address:
                held.discard(row["topic"])
        return held

    def turn_off(self, address: str, topic: str) -> None:
        self.before.setdefault(address, set()).add(topic)

    def requests(self) -> int:
        return len(self.names())


@pytest.fixture
def url(start: Start) -> str:
    return start("moto").settings["base_url"]


@pytest.fixture
def objects(url: str) -> Iterator[Objects]:
    scope = f"{KEY}/20261125/{REGION}/s3/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    with httpx.Client(base_url=url, headers={"Authorization": signed}, timeout=30) as client:
        place = f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint>"
        body = f"{place}</CreateBucketConfiguration>"
        client.put(f"/{BUCKET}", content=body).raise_for_status()
        found = Objects(client)
        yield found
        for name in found.names():
            client.delete(f"/{BUCKET}/{name}").raise_for_status()
        client.delete(f"/{BUCKET}").raise_for_status()


@pytest.fixture
def rig(url: str, objects: Objects) -> Rig:
    settings = {
        "folder": f"s3://{BUCKET}/{FOLDER}",
        "region": REGION,
        "access_key_id": KEY,
        "secret_access_key": SECRET,
        "base_url": url,
    }
    http = HttpContext(now=lambda: NOW, allow_private=True)
    return Rig("file_drop", DestinationConfig("printer", settings), objects, http)


class TestBucket(ConnectorContract):
    pass


def test_a_file_is_in_the_folder_by_the_acknowledged_name(rig: Rig, objects: Objects) -> None:
    outcomes = rig.make().push([off(1, ANNA, "news"), off(2, BO, "news")])
    (ack,) = {outcome.ack for outcome in outcomes.values()}
    assert objects.names() == [f"{FOLDER}/{ack}"]


def test_a_retry_of_the_same_states_makes_no_second_file(rig: Rig, objects: Objects) -> None:
    for _ in range(2):
        rig.make().push([off(1, ANNA, "news")])
    assert len(objects.names()) == 1


def test_a_bucket_that_is_not_there_stops_the_destination(rig: Rig) -> None:
    settings = {**rig.setup.settings, "folder": "s3://no-such-bucket/in"}
    connector = replace(rig, setup=replace(rig.setup, settings=settings)).make()
    assert not connector.check().ok
    with pytest.raises(DeliveryError) as caught:
        connector.push([off(1, ANNA, "news")])
    assert caught.value.permanent


def test_a_service_that_is_down_is_tried_again(rig: Rig) -> None:
    settings = {**rig.setup.settings, "base_url": "http://127.0.0.1:9"}
    connector = replace(rig, setup=replace(rig.setup, settings=settings)).make()
    with pytest.raises(DeliveryError, match="can't be reached") as caught:
        connector.push([off(1, ANNA, "news")])
    assert not caught.value.permanent


def test_what_is_sent_is_not_logged(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:  # I12
    caplog.set_level(0)
    rig.make().push([off(1, ANNA, "news")])
    logged = "\n".join(f"{r.getMessage()} {r.__dict__}" for r in caplog.records)
    for hidden in ("anna", rig.setup.settings["secret_access_key"]):
        assert hidden not in logged
