"""Arrays for PostgreSQL, made without a look at each element in Python.

That look is half of what sending ten thousand digests takes.
"""

from __future__ import annotations

import struct

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_BYTEA, _BYTEA_ARRAY = 17, 1001  # object ids, the same in every PostgreSQL
_EMPTY = struct.pack("!iii", 0, 0, _BYTEA)


class OctetsArray(tuple[bytes, ...]):
    """A `bytea[]` without NULL, as a parameter in binary format (`%b`)."""

    __slots__ = ()


class _OctetsArrayDumper(Dumper):
    """PostgreSQL's own layout (`array_send`).

    Dimensions, whether there are NULLs, the type of elements; length and lower bound of the
    one dimension; then each element after its length.
    """

    format = Format.BINARY
    oid = _BYTEA_ARRAY

    def dump(self, obj: OctetsArray) -> bytes:
        if not obj:
            return _EMPTY
        parts = [struct.pack("!iiiii", 1, 0, _BYTEA, len(obj), 1)]
        for octets in obj:
            parts.append(len(octets).to_bytes(4, "big"))
            parts.append(octets)
        return b"".join(parts)


psycopg.adapters.register_dumper(OctetsArray, _OctetsArrayDumper)
