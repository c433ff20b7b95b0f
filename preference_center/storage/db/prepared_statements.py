"""Statements that are run so often that what psycopg does around them would cost too much.

In a check the cursor's parsing, adapting and waiting take 20 µs of 50; what libpq itself
does, less than 10. And a cursor parses a statement of more than 4,096 bytes at every execution.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from weakref import WeakSet

from psycopg import Cursor, OperationalError, RawCursor, errors
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus, Format
from psycopg.pq.abc import PGresult

from preference_center.storage.db.connections import Bounded
from preference_center.storage.db.database import Connection


class Prepared:
    """A statement with parameters $1, $2, ... of these types, prepared once per connection."""

    def __init__(self, name: str, query: str, types: Sequence[int]) -> None:
        self._name, self._query, self._types = name.encode(), query.encode(), types
        self._formats = [Format.BINARY] * len(types)
        self._knowing: WeakSet[Connection] = WeakSet()

    def run(self, connection: Connection, parameters: Sequence[bytes]) -> PGresult:
        """Its result, in binary as the parameters are: for `run_at_once` only.

        It begins no transaction. Raises psycopg's errors, as a cursor does.
        """
        try:
            return self._run(connection, parameters)
        except errors.InvalidSqlStatementName:
            # After a rollback psycopg deallocates all that is prepared.
            self._knowing.discard(connection)
            return self._run(connection, parameters)

    def _run(self, connection: Connection, parameters: Sequence[bytes]) -> PGresult:
        pgconn = connection.pgconn
        if connection not in self._knowing:
            pgconn.send_prepare(self._name, self._query, self._types)
            _check(_answer(connection))
            self._knowing.add(connection)
        pgconn.send_query_prepared(self._name, parameters, self._formats, Format.BINARY)
        return _check(_answer(connection))


class Numbered:
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


def rows_of(
    connection: Connection, result: PGresult, numbers: Iterable[int]
) -> list[tuple[Any, ...]]:
    """These rows of a result, as Python has them."""
    transformer = Transformer(connection)
    transformer.set_pgresult(result)
    return [row for row in (transformer.load_row(number, tuple) for number in numbers) if row]


def _answer(connection: Connection) -> PGresult:
    """What the server answers to what was just sent, within the connection's limits."""
    cast("Bounded", connection).wait_for_answer()
    pgconn = connection.pgconn
    result = pgconn.get_result()
    while pgconn.get_result():
        pass  # as libpq wants it: to the end
    if result is None:
        raise OperationalError("the connection was lost")
    return result


def _check(result: PGresult) -> PGresult:
    if result.status in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
        return result
    state = result.error_field(DiagnosticField.SQLSTATE)
    message = result.get_error_message()
    if state is None:  # the connection is gone
        raise OperationalError(message)
    raise errors.lookup(state.decode())(message)
