"""Prepared statements and binary arrays avoid psycopg's work where it would cost too much.

In a check the cursor's parsing, adaptation and waiting take 20 µs of 50, libpq itself less than
10. And a cursor parses a statement of more than 4,096 bytes at every execution. `ByteaArray`
encodes `bytea[]` parameters in PostgreSQL's binary format without adapting each element:
psycopg's adaptation takes half of the time of sending ten thousand digests.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from weakref import WeakSet

import psycopg
from psycopg import Cursor, OperationalError, RawCursor, errors
from psycopg.adapt import Dumper, Transformer
from psycopg.pq import DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGresult

from preference_center.infra.db.connections import DeadlineConnection
from preference_center.infra.db.transactions import Connection


class PreparedStatement:
    """A statement with parameters $1, $2, ... of these types, prepared once per connection."""

    def __init__(self, name: str, query: str, types: Sequence[int]) -> None:
        self._name, self._query, self._types = name.encode(), query.encode(), types
        self._formats = [Format.BINARY] * len(types)
        self._prepared_on: WeakSet[Connection] = WeakSet()

    def run(self, connection: Connection, parameters: Sequence[bytes]) -> PGresult:
        """Execute it; parameters and result are binary. For `run_autocommit` only.

        It begins no transaction. Raises psycopg's errors, as a cursor does.
        """
        try:
            return self._run(connection, parameters)
        except errors.InvalidSqlStatementName:
            # After a rollback psycopg deallocates all that is prepared.
            self._prepared_on.discard(connection)
            return self._run(connection, parameters)

    def _run(self, connection: Connection, parameters: Sequence[bytes]) -> PGresult:
        pgconn = connection.pgconn
        if connection not in self._prepared_on:
            pgconn.send_prepare(self._name, self._query, self._types)
            _raise_for_error(_receive_result(connection))
            self._prepared_on.add(connection)
        pgconn.send_query_prepared(self._name, parameters, self._formats, Format.BINARY)
        return _raise_for_error(_receive_result(connection))


class NumberedStatement:
    """A statement with `%(name)s` parameters, rewritten once to the server's $1, $2, ..."""

    def __init__(self, statement: str) -> None:
        numbers: dict[str, int] = {}
        self._query = re.sub(
            r"%\((\w+)\)s",
            lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}",
            statement,
        ).encode()
        self._names = tuple(numbers)

    def run(
        self, connection: Connection, parameters: Mapping[str, object]
    ) -> Cursor[tuple[Any, ...]]:
        """Execute it as `connection.execute` does, with the rows in binary."""
        cursor = RawCursor(connection)
        given = [parameters[name] for name in self._names]
        return cursor.execute(self._query, given, binary=True)


def decode_rows(
    connection: Connection, result: PGresult, row_numbers: Iterable[int]
) -> list[tuple[Any, ...]]:
    """These rows of a result, converted to Python values."""
    transformer = Transformer(connection)
    transformer.set_pgresult(result)
    return [row for row in (transformer.load_row(number, tuple) for number in row_numbers) if row]


def _receive_result(connection: Connection) -> PGresult:
    """The server's result of what was sent last, within the connection's limits."""
    cast("DeadlineConnection", connection).wait_for_result()
    pgconn = connection.pgconn
    result = pgconn.get_result()
    while pgconn.get_result():
        pass  # libpq requires that all results are read
    if result is None:
        raise OperationalError("the connection was lost")
    return result


def _raise_for_error(result: PGresult) -> PGresult:
    if result.status in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
        return result
    state = result.error_field(DiagnosticField.SQLSTATE)
    message = result.get_error_message()
    if state is None:  # the connection is gone
        raise OperationalError(message)
    raise errors.lookup(state.decode())(message)


BYTEA_ARRAY_OID = 1001
"""The type's object id, the same in every PostgreSQL."""


_BYTEA_OID = 17


_EMPTY_ARRAY = struct.pack("!iii", 0, 0, _BYTEA_OID)


class ByteaArray(tuple[bytes, ...]):
    """A `bytea[]` without NULL, as a parameter in binary format (`%b`)."""

    __slots__ = ()

    def dump(self) -> bytes:
        """Its encoding in PostgreSQL's layout (`array_send`).

        Number of dimensions, whether there are NULLs, type of the elements; length and lower bound
        of the one dimension; then each element, preceded by its length.
        """
        if not self:
            return _EMPTY_ARRAY
        parts = [struct.pack("!iiiii", 1, 0, _BYTEA_OID, len(self), 1)]
        for value in self:
            parts.append(len(value).to_bytes(4, "big"))
            parts.append(value)
        return b"".join(parts)


class _ByteaArrayDumper(Dumper):
    format = Format.BINARY
    oid = BYTEA_ARRAY_OID

    def dump(self, obj: ByteaArray) -> bytes:
        return obj.dump()


psycopg.adapters.register_dumper(ByteaArray, _ByteaArrayDumper)
