"""GNU Mailman: two lists, no mail server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import httpx

from tests.real.tools.running import NEWS, OFFERS, free_port, program, running

USER, PASSWORD = "restadmin", "rest-pass"
DOMAIN = "lists.example.com"
CONFIGURATION = """
[mailman]
layout: here
site_owner: owner@example.com
[paths.here]
var_dir: {home}
[mta]
incoming: mailman.mta.null.NullMTA
[database]
url: sqlite:///{home}/mailman.db
[webservice]
port: {port}
admin_user: {user}
admin_pass: {password}
workers: 1
"""
# All of Mailman but the runner that serves the API.
IDLE = ["archive", "bounces", "command", "digest", "in", "lmtp", "nntp", "out", "pipeline"]
IDLE += ["retry", "task", "virgin"]


class Mailman:
    """What a person or the list's owner does, by Mailman's own API."""

    kind = "mailman"
    mapping: ClassVar[dict[str, str]] = {NEWS: f"news.{DOMAIN}", OFFERS: f"offers.{DOMAIN}"}

    def __init__(self, url: str) -> None:
        self.settings = {"base_url": url, "user": USER, "password": PASSWORD}
        self._client = httpx.Client(base_url=f"{url}/3.1", auth=(USER, PASSWORD), timeout=30)

    def make_lists(self) -> None:
        self._client.post("/domains", json={"mail_host": DOMAIN}).raise_for_status()
        for name in ("news", "offers"):
            self._client.post("/lists", json={"fqdn_listname": f"{name}@{DOMAIN}"})

    def add(self, *addresses: str) -> None:
        checked = dict.fromkeys(("pre_verified", "pre_confirmed", "pre_approved"), True)
        for address, list_id in product(addresses, self.mapping.values()):
            body = {"list_id": list_id, "subscriber": address, "send_welcome_message": False}
            self._client.post("/members", json=body | checked).raise_for_status()

    def turn_off(self, address: str, topic: str) -> None:
        member = self._members(address)[self.mapping[topic]]
        self._client.patch(
            f"/members/{member}/preferences", json={"delivery_status": "by_user"}
        ).raise_for_status()

    def off(self, address: str) -> set[str] | None:
        members = self._members(address)
        banned = {t for t, list_id in self.mapping.items() if self._is_banned(list_id, address)}
        if not members:
            return banned or None
        return banned | {
            topic
            for topic, list_id in self.mapping.items()
            if list_id not in members or self._status(members[list_id]) != "enabled"
        }

    def forget(self) -> None:
        for entry in self._client.get("/members").json().get("entries", []):
            self._client.delete(f"/members/{entry['member_id']}").raise_for_status()
        for list_id in self.mapping.values():
            for entry in self._client.get(f"/lists/{list_id}/bans").json().get("entries", []):
                self._client.delete(f"/lists/{list_id}/bans/{entry['email']}").raise_for_status()

    def _members(self, address: str) -> dict[str, str]:
        found = self._client.post("/members/find", json={"subscriber": address}).json()
        return {entry["list_id"]: entry["member_id"] for entry in found.get("entries", [])}

    def _is_banned(self, list_id: str, address: str) -> bool:
        return self._client.get(f"/lists/{list_id}/bans/{address}").is_success

    def _status(self, member: str) -> Any:
        return self._client.get(f"/members/{member}/all/preferences").json()["delivery_status"]


@contextmanager
def mailman(home: Path) -> Iterator[Mailman]:
    port = free_port()
    settings = home / "mailman.cfg"
    text = CONFIGURATION.format(home=home, port=port, user=USER, password=PASSWORD)
    settings.write_text(text + "".join(f"[runner.{name}]\nstart: no\n" for name in IDLE))
    url = f"http://127.0.0.1:{port}"
    command = [program("mailman", "master"), "-C", str(settings)]
    with running(command, url, home / "output.log"):
        tool = Mailman(url)
        tool.make_lists()
        yield tool
