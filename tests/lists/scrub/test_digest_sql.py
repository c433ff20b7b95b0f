"""The SQL's canonical forms and digests are those of `parse` and `Keys`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preference_center.core.addresses import PROVIDERS, Channel, parse_address
from preference_center.core.key_rings import parse_ring
from preference_center.core.keys import Keys
from preference_center.infra.duckdb import connect
from preference_center.lists.scrub.duck import duckdb_dialect
from preference_center.lists.scrub.sql import probes, with_digests
from tests.environment import _key

KEYS = Keys(parse_ring(f"d1:{_key(1)},d2:{_key(4)}"), parse_ring(f"e1:{_key(2)}"))

DOMAINS = [*PROVIDERS, "Example.COM", "a.b.example", "b.local", "x.onion", "localhost", "one"]
PART = st.text("abAB01.+-_'\"<> @é", max_size=8)
CELLS = st.one_of(
    st.tuples(PART, st.sampled_from(DOMAINS)).map("@".join),
    st.tuples(PART, PART, st.sampled_from(DOMAINS)).map(lambda t: f"{t[0]}+{t[1]}@{t[2]}"),
    st.text(max_size=12),
    st.text("a.@-", max_size=300),
)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBPyConnection]:
    with connect(Path(tmp_path_factory.mktemp("work"))) as connection:
        connection.execute("CREATE TABLE list (cell VARCHAR)")
        connection.execute("CREATE TABLE read (cell VARCHAR, kind SMALLINT, digest VARCHAR)")
        yield connection


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CELLS, min_size=40, max_size=80, unique=True))
def test_every_safe_cell_has_the_digests_of_python(
    connection: DuckDBPyConnection, cells: list[str]
) -> None:
    # I9
    cells = ["Jane.Doe+x@gmail.com", *(cell.encode(errors="replace").decode() for cell in cells)]
    spoken, pads = duckdb_dialect(KEYS.hmac_pads())
    connection.execute("DELETE FROM list")
    connection.execute("INSERT INTO list SELECT unnest($1)", [cells])
    looked = with_digests(spoken, Channel.EMAIL, md5=True)
    connection.execute(f"CREATE OR REPLACE TABLE candidate AS {looked}", pads)
    found: dict[str, set[tuple[int, str]]] = {}
    for cell, kind, digest in connection.execute(probes(md5=True, keys=2)).fetchall():
        found.setdefault(cell, set()).add((kind, digest))
    assert len(found[cells[0]]) == 6
    for cell, digests in found.items():
        address = parse_address(cell, Channel.EMAIL)
        expected = KEYS.match_keys(address) | KEYS.md5_keys(address)
        expected |= KEYS.earlier_match_keys(address)
        assert digests == {(int(kind), digest.hex()) for digest, kind in expected.items()}


@pytest.mark.parametrize(
    "cell", ["Jane.Doe+x@Example.com", "j.a.n.e@gmail.com", "a@b.co", "+t@me.com"]
)
def test_common_cells_are_safe(connection: DuckDBPyConnection, cell: str) -> None:
    assert is_safe(connection, cell)


@pytest.mark.parametrize(
    "cell",
    ["", " a@b.co", "a@b.co\n", "a@b.local", "\u212aate@b.co", "o'neil@b.co", "a@b", "a..b@c.de"],
)
def test_what_is_odd_is_left_to_python(connection: DuckDBPyConnection, cell: str) -> None:
    # I11
    assert not is_safe(connection, cell)


def is_safe(connection: DuckDBPyConnection, cell: str) -> bool:
    spoken, pads = duckdb_dialect(KEYS.hmac_pads())
    connection.execute("DELETE FROM list")
    connection.execute("INSERT INTO list VALUES ($1)", [cell])
    row = connection.execute(with_digests(spoken, Channel.EMAIL, md5=False), pads).fetchone()
    assert row
    return bool(row[1])
