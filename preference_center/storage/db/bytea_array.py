"""Arrays for PostgreSQL, made without a look at each element in Python.

That look is half of what sending ten thousand digests takes.
"""

from __future__ import annotations

import struct

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

BYTEA_ARRAY_OID = 1001
"""Its object id, the same in every PostgreSQL."""

_BYTEA_OID = 17
_EMPTY_ARRAY = struct.pack("!iii", 0, 0, _BYTEA_OID)


class ByteaArray(tuple[bytes, ...]):
    """A `bytea[]` without NULL, as a parameter in binary format (`%b`)."""

    __slots__ = ()

    def dump(self) -> bytes:
        """In PostgreSQL's own layout (`array_send`).

        Dimensions, whether there are NULLs, the type of elements; length and lower bound of
        the one dimension; then each element after its length.
        """
        if not self:
            return _EMPTY_ARRAY
        parts = [struct.pack("!iiiii", 1, 0, _BYTEA_OID, len(self), 1)]
        for octets in self:
            parts.append(len(octets).to_bytes(4, "big"))
            parts.append(octets)
        return b"".join(parts)


class _ByteaArrayDumper(Dumper):
    format = Format.BINARY
    oid = BYTEA_ARRAY_OID

    def dump(self, obj: ByteaArray) -> bytes:
        return obj.dump()


psycopg.adapters.register_dumper(ByteaArray, _ByteaArrayDumper)
