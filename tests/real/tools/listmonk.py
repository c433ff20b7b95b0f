"""listmonk itself, where `LISTMONK` names its program: it is in no registry to install from.

Built from the source of v6.2.0, or a release's binary. A program without its files packed
into it needs them next to it: config.toml.sample, queries, schema.sql, permissions.json, i18n and
static. The pages of its owner are not needed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from dev.accounts import data_folder, private_folder, remove, server_account
from dev.maintenance.real_tools import ROOT
from dev.postgres import Postgres, make_database
from tests.real.tools.running import NEWS, OFFERS, free_port, running

PROGRAM = "LISTMONK"
"""Environment variable with the path of the program."""
ADMIN, DATABASE = "owner", "listmonk"
RIGHTS = (
    "lists:get_all",
    "lists:manage_all",
    "subscribers:get_all",
    "subscribers:sql_query",
    "subscribers:manage",
)
CONFIGURATION = """
[app]
address = "127.0.0.1:{port}"
[db]
host = "127.0.0.1"
port = {database.port}
user = "{user}"
password = "{database.password}"
database = "{name}"
ssl_mode = "disable"
max_open = 25
max_idle = 25
max_lifetime = "300s"
"""
_FILES = ("config.toml.sample", "queries", "schema.sql", "permissions.json", "i18n", "static")
_PAGES = "frontend/dist"
_NO_CAMPAIGN = "00000000-0000-0000-0000-000000000000"


class Listmonk:
    """What a person does on listmonk's own page, and its owner by its API."""

    kind = "listmonk"
    mapping: dict[str, str]

    def __init__(self, url: str, client: httpx.Client) -> None:
        self._client = client
        self._uuids: dict[str, str] = {}
        self.mapping = {topic: self._make_list(topic) for topic in (NEWS, OFFERS)}
        for other in self._of("/api/lists?per_page=all")["results"]:
            if str(other["id"]) not in self.mapping.values():
                self._client.delete(f"/api/lists/{other['id']}").raise_for_status()
        self.settings = {"base_url": url, "user": "sync", "token": self.make_user("sync", RIGHTS)}

    def make_user(self, name: str, rights: tuple[str, ...]) -> str:
        """An API user with a role of these permissions; returns its token."""
        role = self._post("/api/roles/users", {"name": name, "permissions": list(rights)})
        user = {"username": name, "name": name, "type": "api", "status": "enabled"}
        return str(self._post("/api/users", user | {"user_role_id": role["id"]})["password"])

    def _make_list(self, topic: str) -> str:
        made = self._post("/api/lists", {"name": topic, "type": "public", "optin": "single"})
        self._uuids[topic] = made["uuid"]
        return str(made["id"])

    def add(self, *addresses: str) -> None:
        lists = [int(each) for each in self.mapping.values()]
        for address in addresses:
            body = {"email": address, "name": "Somebody", "status": "enabled", "lists": lists}
            self._post("/api/subscribers", body | {"preconfirm_subscriptions": True})

    def turn_off(self, address: str, topic: str) -> None:
        """As a person does on the page of their subscriptions: all lists that stay are named."""
        (found,) = self._found(address)
        off = self.off(address) or set()
        kept = [uuid for name, uuid in self._uuids.items() if name not in off | {topic}]
        form: dict[str, Any] = {"manage": "true", "name": "Somebody", "l": kept}
        page = f"/subscription/{_NO_CAMPAIGN}/{found['uuid']}"
        self._client.post(page, data=form).raise_for_status()

    def off(self, address: str) -> set[str] | None:
        found = self._found(address)
        if not found:
            return None
        held = {str(each["id"]): each["subscription_status"] for each in found[0]["lists"]}
        return {t for t, id_ in self.mapping.items() if held.get(id_) == "unsubscribed"}

    def forget(self) -> None:
        rows = self._of("/api/subscribers?per_page=all")["results"]
        for start in range(0, len(rows), 100):
            ids = [str(row["id"]) for row in rows[start : start + 100]]
            self._client.delete("/api/subscribers", params={"id": ids}).raise_for_status()

    def _found(self, address: str) -> list[dict[str, Any]]:
        literal = address.lower().replace("'", "''")
        query = f"LOWER(subscribers.email) = '{literal}'"
        answer = self._client.get("/api/subscribers", params={"query": query})
        return list(answer.raise_for_status().json()["data"]["results"])

    def _of(self, path: str) -> dict[str, Any]:
        return dict(self._client.get(path).raise_for_status().json()["data"])

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return dict(self._client.post(path, json=body).raise_for_status().json()["data"])


@contextmanager
def listmonk(home: Path) -> Iterator[Listmonk]:
    """Run it on a cluster of its own."""
    account = server_account()
    folder = private_folder(data_folder(ROOT, account) / "listmonk")
    database = Postgres(folder, account, durable=False)
    database.stop()
    remove(folder / Postgres.name)
    database.start()
    try:
        make_database(database.url_of("postgres"), DATABASE)
        port = free_port()
        token = _install(home, database, port)
        url = f"http://127.0.0.1:{port}"
        command = [os.environ[PROGRAM], "--config", str(home / "config.toml")]
        with (
            running(command, f"{url}/api/health", home / "output.log"),
            httpx.Client(base_url=url, auth=(ADMIN, token), timeout=30) as client,
        ):
            yield Listmonk(url, client)
    finally:
        database.stop()


def _install(home: Path, database: Postgres, port: int) -> str:
    """Make its tables; returns the token of its owner."""
    program = Path(os.environ[PROGRAM])
    for name in _FILES:
        given = program.parent / name
        if given.is_dir():
            shutil.copytree(given, home / name)
        elif given.exists():
            shutil.copy(given, home / name)
    (home / _PAGES).mkdir(parents=True)
    user = database.url.partition("://")[2].partition(":")[0]
    text = CONFIGURATION.format(port=port, database=database.state, user=user, name=DATABASE)
    (home / "config.toml").write_text(text)
    owner = {
        "LISTMONK_ADMIN_USER": "administrator",
        "LISTMONK_ADMIN_PASSWORD": "listmonk-pass",
        "LISTMONK_ADMIN_API_USER": ADMIN,
    }
    made = subprocess.run(
        [program, "--config", home / "config.toml", "--install", "--yes"],
        cwd=home,
        env={**os.environ, **owner},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r'LISTMONK_ADMIN_API_TOKEN="([^"]+)"', made.stderr)
    assert found, "listmonk returned no token of its owner"
    return found[1]
