"""A search for what is left of a person: in the database, in Redis, in files and in logs.

It knows nothing of the inventory of personal data: it reads every column of every table, opens
every value that the encryption keys can open, and unpacks what is compressed or encoded.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql
from redis import Redis

from preference_center.core.keys import Keys
from preference_center.infra.keys.sealed_columns import SEALED_COLUMNS


@dataclass(frozen=True, slots=True)
class Places:
    """Where to search. `logs` returns all that was written to logs and to the terminal."""

    database_url: str
    redis_url: str
    keys: Keys
    folders: Sequence[Path]
    logs: Callable[[], str]


def find_traces(markers: Mapping[str, str], places: Places) -> set[tuple[str, str]]:
    """Which markers are where: pairs of a marker's name and of a place such as a table."""
    wanted = {name: _spellings(text) for name, text in markers.items()}
    found: set[tuple[str, str]] = set()
    for place, content in _stored(places):
        for unpacked in _unpack(content):
            lower = unpacked.lower()
            found |= {
                (name, place)
                for name, spellings in wanted.items()
                if any(spelling in lower for spelling in spellings)
            }
    return found


def _spellings(text: str) -> set[bytes]:
    """The text as it may be spelt, and its unkeyed hashes, which anybody can compute."""
    plain = text.lower().encode()
    hashes = [hashlib.new(name, plain) for name in ("md5", "sha1", "sha256")]
    raw = {plain, quote(plain, safe="").lower().encode(), plain.hex().encode()}
    return raw | {h.hexdigest().encode() for h in hashes} | {h.digest().lower() for h in hashes}


def _stored(places: Places) -> Iterator[tuple[str, bytes]]:
    yield from _in_database(places)
    yield from _in_redis(places.redis_url)
    for folder in places.folders:
        for path in sorted(folder.rglob("*")):
            yield f"{folder.name} (name)", path.name.encode()
            if path.is_file():
                yield folder.name, path.read_bytes()
    yield "logs", places.logs().encode()


def _in_database(places: Places) -> Iterator[tuple[str, bytes]]:
    with psycopg.connect(places.database_url) as connection:
        for (table,) in connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall():
            rows = connection.execute(sql.SQL("TABLE {}").format(sql.Identifier(table)))
            for row in rows:
                for value in row:
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    yield table, raw
        yield from _sealed(connection, places.keys)


def _sealed(connection: psycopg.Connection, keys: Keys) -> Iterator[tuple[str, bytes]]:
    """What every sealed value says. One that does not open could hide anything: it fails."""
    for column in SEALED_COLUMNS:
        names = ", ".join(column.context_columns)
        rows = connection.execute(
            f"SELECT t.{column.column}, {names} FROM {column.table} t {column.join}"
            f" WHERE t.{column.column} IS NOT NULL".encode()
        )
        for ciphertext, *context in rows:
            yield column.table, keys.open(ciphertext, context=column.context(*context)).encode()


def _in_redis(url: str) -> Iterator[tuple[str, bytes]]:
    with Redis.from_url(url) as client:
        for key in client.scan_iter():
            name = "redis"
            yield name, key
            match client.type(key):
                case b"string":
                    yield name, client.get(key) or b""
                case b"hash":
                    for field, value in client.hgetall(key).items():
                        yield name, field
                        yield name, value
                case b"list":
                    yield from ((name, each) for each in client.lrange(key, 0, -1))
                case b"set":
                    yield from ((name, each) for each in client.smembers(key))
                case b"zset":
                    yield from ((name, each) for each in client.zrange(key, 0, -1))
                case b"stream":
                    yield name, repr(client.xrange(key)).encode()
                case other:
                    raise AssertionError(f"unread type of a key in Redis: {other!r}")


def _unpack(content: bytes, depth: int = 3) -> Iterator[bytes]:
    """The content, and what it holds where it is compressed, an archive or encoded."""
    yield content
    if depth:
        for inner in _inner(content):
            yield from _unpack(inner, depth - 1)


def _inner(content: bytes) -> Iterator[bytes]:
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    elif content[:1] == b"\x78":
        with suppress(zlib.error):
            yield zlib.decompress(content)
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield archive.read(name)
    elif len(content) > 16:
        with suppress(binascii.Error, ValueError):
            yield base64.b64decode(content, validate=True)
