"""Encode `bytea[]` parameters in PostgreSQL's binary format without adapting each element.

psycopg's adaptation takes half of the time of sending ten thousand digests.
"""

from __future__ import annotations

import struct

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

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
