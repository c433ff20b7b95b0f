"""Put tables into a state that the triggers of append-only tables refuse, as a restore would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_SWITCH = """
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE 'ALTER TABLE ' || name || ' {} TRIGGER USER';
    END LOOP;
END $$
"""


@contextmanager
def without_triggers(connection: psycopg.Connection) -> Iterator[None]:
    """Within its transaction, no trigger of ours runs. The owner of the tables may do that."""
    connection.execute(_SWITCH.format("DISABLE").encode())
    yield
    connection.execute(_SWITCH.format("ENABLE").encode())
