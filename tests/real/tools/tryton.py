"""Tryton with its module marketing_email: two mailing lists."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import httpx

from tests.real.tools.running import NEWS, OFFERS, free_port, program, running

DATABASE, USER, PASSWORD = "company", "admin", "tryton-pass"
CONFIGURATION = """
[database]
uri = sqlite://
path = {home}
[web]
listen = 127.0.0.1:{port}
[session]
timeout = 3600
"""
_ANY = ["active", "in", [True, False]]


class Tryton:
    """What a person or the marketing department does, by Tryton's own JSON-RPC."""

    kind = "tryton"
    mapping: dict[str, str]

    def __init__(self, url: str) -> None:
        login = {"base_url": url, "database": DATABASE, "user": USER, "password": PASSWORD}
        self.settings = login
        self._client = httpx.Client(base_url=f"{url}/{DATABASE}", timeout=30)
        number, key, _ = self._call("common.db.login", USER, {"password": PASSWORD})
        credentials = b64encode(f"{USER}:{number}:{key}".encode()).decode()
        self._client.headers["Authorization"] = f"Session {credentials}"
        (english,) = self._call("model.ir.lang.search", [["code", "=", "en"]], 0, 1, None, {})
        values = [{"name": topic, "language": english} for topic in (NEWS, OFFERS)]
        news, offers = self._call("model.marketing.email.list.create", values, {})
        self.mapping = {NEWS: str(news), OFFERS: str(offers)}

    def add(self, *addresses: str) -> None:
        lists = map(int, self.mapping.values())
        values = [{"email": a, "list_": list_id} for a, list_id in product(addresses, lists)]
        self._call("model.marketing.email.create", values, {})

    def turn_off(self, address: str, topic: str) -> None:
        """As the page does that a company puts behind `email_unsubscribe_url`, or a clerk."""
        domain = [["email", "=", address], ["list_", "=", int(self.mapping[topic])]]
        ids = [row["id"] for row in self._search(domain, [])]
        self._call("model.marketing.email.write", ids, {"active": False}, {})

    def off(self, address: str) -> set[str] | None:
        rows = self._search([["email", "=", address], _ANY], ["list_", "active"])
        active = {str(row["list_"]) for row in rows if row["active"]}
        return {t for t, id_ in self.mapping.items() if id_ not in active} if rows else None

    def forget(self) -> None:
        rows = self._search([_ANY], [])
        self._call("model.marketing.email.delete", [row["id"] for row in rows], {})

    def _search(self, domain: list[Any], fields: list[str]) -> list[dict[str, Any]]:
        found = self._call("model.marketing.email.search_read", domain, 0, None, None, fields, {})
        return list(found)

    def _call(self, method: str, *parameters: Any) -> Any:
        body = {"id": 1, "method": method, "params": list(parameters)}
        answer = self._client.post("/rpc/", json=body).raise_for_status().json()
        assert "error" not in answer, answer["error"]
        return answer["result"]


@contextmanager
def tryton(home: Path) -> Iterator[Tryton]:
    port = free_port()
    settings, password = home / "trytond.conf", home / "password"
    settings.write_text(CONFIGURATION.format(home=home, port=port))
    password.write_text(PASSWORD)
    (home / f"{DATABASE}.sqlite").touch()
    which = ["-c", str(settings), "-d", DATABASE]
    make = ["-u", "marketing_email", "--activate-dependencies", "--email", "admin@example.com"]
    subprocess.run(
        [program("tryton", "trytond-admin"), *which, *make],
        env={**os.environ, "TRYTONPASSFILE": str(password)},
        capture_output=True,
        check=True,
    )
    url = f"http://127.0.0.1:{port}"
    with running([program("tryton", "trytond"), *which], url, home / "output.log"):
        yield Tryton(url)
