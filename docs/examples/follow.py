"""A reader of the feed that keeps a copy in SQLite (docs/feed.md)."""

import json
import os
import sqlite3
import time
from datetime import datetime

import httpx

TABLES = """
CREATE TABLE IF NOT EXISTS scope_status (ref, scope, address, status, PRIMARY KEY (ref, scope));
CREATE TABLE IF NOT EXISTS watermark (id INTEGER PRIMARY KEY CHECK (id = 1), value);
"""


def read_page(http, db):
    """Read what is next, in one transaction of the copy; whether there is more at once."""
    row = db.execute("SELECT value FROM watermark").fetchone()
    if row is None:
        return read_snapshot(http, db)
    response = http.get("/v1/changes", params={"after": row[0]})
    if response.status_code == 410:  # the database was started or restored
        return read_snapshot(http, db)
    page = response.raise_for_status().json()
    with db:
        for change in page["changes"]:
            keep(db, change)
            if change["kind"] == "erased":
                forget(db, change)
        keep_watermark(db, page["next"])
    return page["more"]


def read_snapshot(http, db):
    """Replace the copy, or leave it as it is if the snapshot is not whole."""
    with db, http.stream("GET", "/v1/changes/snapshot") as response:
        response.raise_for_status()
        lines = (json.loads(line) for line in response.iter_lines())
        keep_watermark(db, next(lines)["watermark"])
        db.execute("DELETE FROM scope_status")
        count = 0
        for row in lines:
            if "end" not in row:
                keep(db, row)
                count += 1
            elif row["count"] == count:
                return True
        raise httpx.RemoteProtocolError("the snapshot broke off")


def keep(db, row):
    where = (row["ref"], row["scope"])
    db.execute("DELETE FROM scope_status WHERE ref = ? AND scope = ?", where)
    if row["status"] != {"off": False}:
        values = (*where, row.get("address"), json.dumps(row["status"]))
        db.execute("INSERT INTO scope_status VALUES (?, ?, ?, ?)", values)


def forget(db, erased):
    """Delete what is left of a person but for the opt-outs."""
    ref, erased_at = erased["ref"], datetime.fromisoformat(erased["counts_at"])
    found = db.execute("SELECT scope, status FROM scope_status WHERE ref = ?", [ref]).fetchall()
    for scope, text in found:
        status = json.loads(text)
        for names in (["consent_at"], ["frequency_at", "frequency"]):
            at = status.get(names[0])
            if at and datetime.fromisoformat(at) <= erased_at:
                for name in names:
                    status.pop(name, None)
        keep(db, {"ref": ref, "scope": scope, "status": status})


def keep_watermark(db, watermark):
    db.execute("INSERT OR REPLACE INTO watermark VALUES (1, ?)", [watermark])


def follow(http, db):
    while True:
        try:
            more = read_page(http, db)
        except httpx.HTTPError as error:  # down, or busy: the copy only gets older
            print(f"again in 5 seconds: {error}")
            more = False
        if not more:
            time.sleep(5)


if __name__ == "__main__":
    key = {"Authorization": f"Bearer {os.environ['KEY']}"}
    database = sqlite3.connect("copy.db")
    database.executescript(TABLES)
    with httpx.Client(base_url=os.environ["SITE"], headers=key, timeout=60) as client:
        follow(client, database)
