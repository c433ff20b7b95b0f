"""A Bloom filter over digests: two bytes for each, none is ever missed, and more can be added.

B. H. Bloom, Space/Time Trade-offs in Hash Coding with Allowable Errors, 1970. Digests are random
already, so their halves serve as the two hashes (Kirsch and Mitzenmacher, 2006).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BITS_PER_DIGEST = 16
PROBES = 4
"""Bits set for each. With 16 bits a digest, 0.24% of others are taken for one of them."""
_MIN_BITS = 1 << 13
_MAX_BITS = 1 << 32

Heads = npt.NDArray[np.uint64]
_LOW = np.uint64(0xFFFFFFFF)
_32, _ONE, _SEVEN, _THREE = (np.uint64(number) for number in (32, 1, 7, 3))


class BloomFilter:
    """Room for `capacity` digests; with more, others are taken for one of them more often."""

    def __init__(self, capacity: int) -> None:
        self._size = np.uint64(min(max(BITS_PER_DIGEST * capacity, _MIN_BITS), _MAX_BITS))
        self._bytes = np.zeros(int(self._size) // 8 + 1, dtype=np.uint8)

    @property
    def nbytes(self) -> int:
        """What it occupies."""
        return int(self._bytes.nbytes)

    def add(self, heads: Heads) -> None:
        """Add digests. Others may ask meanwhile."""
        for place, bit in self._probes(heads):
            np.bitwise_or.at(self._bytes, place, bit)

    def contains(self, heads: Heads) -> npt.NDArray[np.bool_]:
        """For each: False if it was never added; True if it was, and rarely if not."""
        found = np.arange(len(heads))
        for step in range(PROBES):
            place, bit = self._probe(heads[found], step)
            found = found[(self._bytes[place] & bit) != 0]
        result = np.zeros(len(heads), dtype=np.bool_)
        result[found] = True
        return result

    def _probes(self, heads: Heads) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]]:
        return [self._probe(heads, step) for step in range(PROBES)]

    def _probe(self, heads: Heads, step: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.uint8]]:
        """The place and the bit of each head's probe number `step`."""
        mixed = (heads + np.uint64(step) * ((heads >> _32) | _ONE)) & _LOW
        bits = (mixed * self._size) >> _32
        return (
            (bits >> _THREE).astype(np.intp),
            np.left_shift(np.uint8(1), (bits & _SEVEN).astype(np.uint8)),
        )
