"""moto's Amazon SES v2: one contact list with two topics.

It has no suppression list of the account, which SES's connector pulls after the contacts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import httpx

from tests.real.tools.running import NEWS, OFFERS, free_port, program, running

REGION, LIST, KEY, SECRET = "eu-central-1", "people", "AKIAMOTO", "moto-secret"


class Moto:
    """What a person or another program does, by SES's own API."""

    kind = "ses"
    mapping: ClassVar[dict[str, str]] = {NEWS: "news", OFFERS: "offers"}

    def __init__(self, url: str) -> None:
        self.settings = {
            "region": REGION,
            "contact_list": LIST,
            "access_key_id": KEY,
            "secret_access_key": SECRET,
            "base_url": url,
        }
        # moto reads from a signature which service is meant, and checks no more of it.
        scope = f"{KEY}/20261125/{REGION}/ses/aws4_request"
        signature = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        self._client = httpx.Client(
            base_url=f"{url}/v2/email", headers={"Authorization": signature}, timeout=30
        )
        self._begin()

    def _begin(self) -> None:
        topics = [
            {"TopicName": name, "DisplayName": name, "DefaultSubscriptionStatus": "OPT_IN"}
            for name in self.mapping.values()
        ]
        body = {"ContactListName": LIST, "Topics": topics}
        self._client.post("/contact-lists", json=body).raise_for_status()

    def add(self, *addresses: str) -> None:
        for address in addresses:
            body = {"EmailAddress": address, "TopicPreferences": []}
            self._client.post(f"/contact-lists/{LIST}/contacts", json=body).raise_for_status()

    def turn_off(self, address: str, topic: str) -> None:
        preferences = [{"TopicName": self.mapping[topic], "SubscriptionStatus": "OPT_OUT"}]
        path = f"/contact-lists/{LIST}/contacts/{address}"
        self._client.put(path, json={"TopicPreferences": preferences}).raise_for_status()

    def off(self, address: str) -> set[str] | None:
        answer = self._client.get(f"/contact-lists/{LIST}/contacts/{address}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        preferences = answer.raise_for_status().json()["TopicPreferences"]
        names = {p["TopicName"] for p in preferences if p["SubscriptionStatus"] == "OPT_OUT"}
        return {topic for topic, name in self.mapping.items() if name in names}

    def forget(self) -> None:
        self._client.delete(f"/contact-lists/{LIST}").raise_for_status()
        self._begin()


@contextmanager
def moto(home: Path) -> Iterator[Moto]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [program("moto", "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with running(command, url, home / "output.log"):
        yield Moto(url)
