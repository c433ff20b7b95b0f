"""Ghost itself, from npm: where `make real-ghost` has installed it, or where `GHOST` names it.

Its database is SQLite, and it sends no mail.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import httpx

from dev.maintenance.real_tools import ghost_package
from dev.processes import wait_until
from preference_center.integrations.base.http import utc_now
from preference_center.integrations.ghost.client import make_authorization_header
from tests.real.tools.running import NEWS, OFFERS, free_port, running

OWNER, PASSWORD = "owner@example.com", "Gq7vLw2pXz9rTm"
_API = "/ghost/api/admin"
_FOLDERS = ("adapters", "data", "files", "images", "logs", "media", "public")


class Ghost:
    """What a member does on Ghost's own page, and its owner in its admin."""

    kind = "ghost"

    def __init__(self, url: str, client: httpx.Client) -> None:
        self._url, self._client = url, client
        self._set_up()
        asked = {"integrations": [{"name": "sync"}]}
        (made,) = self._owner("POST", "/integrations/?include=api_keys", asked)["integrations"]
        (self._key,) = (k["secret"] for k in made["api_keys"] if k["type"] == "admin")
        self.settings = {"base_url": url, "admin_key": self._key}
        (first,) = self._ask("GET", "/newsletters/")["newsletters"]
        self.mapping = {topic: self.make_newsletter(topic) for topic in (NEWS, OFFERS)}
        self.set_status(first["id"], "archived")

    def _set_up(self) -> None:
        owner = {"name": "Owner", "email": OWNER, "password": PASSWORD, "blogTitle": "Blog"}
        self._owner("POST", "/authentication/setup/", {"setup": [owner]})
        self._client.post(
            f"{_API}/session/", json={"username": OWNER, "password": PASSWORD}
        ).raise_for_status()

    def make_newsletter(self, name: str, *, opt_in_existing: bool = False) -> str:
        """One that nobody gets yet, or anyone who gets any; returns its id."""
        path = f"/newsletters/?opt_in_existing={str(opt_in_existing).lower()}"
        return str(
            self._ask("POST", path, {"newsletters": [{"name": name}]})["newsletters"][0]["id"]
        )

    def set_status(self, newsletter: str, status: str) -> None:
        """Archive a newsletter, or make it active again."""
        self._ask("PUT", f"/newsletters/{newsletter}/", {"newsletters": [{"status": status}]})

    def add(self, *addresses: str, newsletters: Collection[str] | None = None) -> None:
        ids = self.mapping.values() if newsletters is None else newsletters
        held = [{"id": each} for each in ids]
        for address in addresses:
            self._ask("POST", "/members/", {"members": [{"email": address, "newsletters": held}]})

    def turn_off(self, address: str, topic: str) -> None:
        """As the member does by the link of an email: all newsletters that stay are named."""
        member = self.member(address)
        assert member
        link = dict(parse_qsl(urlsplit(member["unsubscribe_url"]).query))
        left = self.mapping[topic]
        kept = [{"id": each["id"]} for each in member["newsletters"] if each["id"] != left]
        path = "/members/api/member/newsletters/"
        self._client.put(path, params=link, json={"newsletters": kept}).raise_for_status()

    def turn_off_in_bulk(self, topic: str) -> None:
        """As the owner does to all members in the list of members."""
        bulk = {"action": "unsubscribe", "newsletter": self.mapping[topic], "meta": {}}
        self._ask("PUT", "/members/bulk/?all=true", {"bulk": bulk})

    def off(self, address: str) -> set[str] | None:
        member = self.member(address)
        if member is None:
            return None
        held = {each["id"] for each in member["newsletters"]}
        return {topic for topic, id_ in self.mapping.items() if id_ not in held}

    def forget(self) -> None:
        self._ask("DELETE", "/members/?all=true")

    def member(self, address: str) -> dict[str, Any] | None:
        """The member of exactly this address."""
        rows: list[dict[str, Any]] = self._ask("GET", "/members/?limit=100")["members"]
        return next((row for row in rows if row["email"] == address), None)

    def found(self, where: str) -> list[str]:
        """The addresses of the members that a filter finds."""
        answer = self._client.get(
            f"{_API}/members/", params={"filter": where}, headers=self._headers()
        )
        return [row["email"] for row in answer.raise_for_status().json()["members"]]

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return self._send(method, path, body, self._headers())

    def _owner(self, method: str, path: str, body: Any) -> dict[str, Any]:
        return self._send(method, path, body, {"Origin": self._url})

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
        answer = self._client.request(method, _API + path, json=body, headers=headers)
        return cast("dict[str, Any]", answer.raise_for_status().json())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": make_authorization_header(self._key, utc_now())}


@contextmanager
def ghost(home: Path) -> Iterator[Ghost]:
    package, port = ghost_package(), free_port()
    assert package
    url, content = f"http://127.0.0.1:{port}", home / "content"
    for name in _FOLDERS:
        (content / name).mkdir(parents=True)
    for name in ("settings", "themes"):
        shutil.copytree(package / "content" / name, content / name)
    settings = {"NODE_ENV": "production", **_settings(home, url, port)}
    # It finds itself by the working folder.
    start = "process.chdir(process.argv[1]); require(process.argv[1] + '/index.js')"
    command = ["env", *(f"{k}={v}" for k, v in settings.items()), "node", "-e", start, str(package)]
    with (
        running(command, f"{url}{_API}/site/", home / "output.log"),
        httpx.Client(base_url=url, headers={"Origin": url}, timeout=60) as client,
    ):
        # It answers 503 while it makes its tables.
        assert wait_until(lambda: client.get(f"{_API}/site/").is_success, 60), "see output.log"
        yield Ghost(url, client)


def _settings(home: Path, url: str, port: int) -> dict[str, str]:
    """As environment variables: https://docs.ghost.org/config."""
    return {
        "url": url,
        "server__host": "127.0.0.1",
        "server__port": str(port),
        "database__client": "sqlite3",
        "database__useNullAsDefault": "true",
        "database__connection__filename": str(home / "ghost.db"),
        "mail__transport": "stub",
        "security__staffDeviceVerification": "false",
        "privacy__useUpdateCheck": "false",
        "privacy__useGravatar": "false",
        "logging__transports": '["stdout"]',
        "logging__level": "warn",
        "paths__contentPath": str(home / "content"),
    }
