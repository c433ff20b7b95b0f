"""Keyed digests of addresses, as the service makes them: HMAC-SHA-256 of their SHA-256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from preference_center_client.local_filter.addresses import forms

Heads = npt.NDArray[np.uint64]
HEAD_BYTES = 8
"""Of each digest that the service hands out."""

_KEY_BYTES = 32
_BLOCK_BYTES = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))  # RFC 2104 2
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))
_FINGERPRINT_INPUT = b"preference-center: fingerprint of a key, not an address"
_MD5_PREFIX = b"preference-center: MD5 of an address\0"


def _fastest_sha256() -> Callable[[bytes], Any]:
    """CPython's own: for so short a text twice as fast as OpenSSL, which hashlib prefers."""
    for name in ("_sha2", "_sha256"):  # from Python 3.12 on, before
        with suppress(ImportError):
            return import_module(name).sha256  # type: ignore[no-any-return]
    return hashlib.sha256


sha256 = _fastest_sha256()


class DigestKeysMismatch(ValueError):
    """The service makes digests with other keys, or by other rules: nothing would be found."""


@dataclass(frozen=True, slots=True)
class DigestScheme:
    """How the digests of a reading were made."""

    length: int
    """How many keys of the chain."""
    md5: bool
    """Whether some addresses are known by an MD5 only."""


@dataclass(frozen=True, slots=True, repr=False)
class PreparedAddresses:
    """A list of addresses with their digests, which may be asked about any number of times."""

    scheme: DigestScheme
    count: int
    heads: Heads
    owners: npt.NDArray[np.uint32]
    """For each head the place of its address in the list."""
    unreadable: npt.NDArray[np.bool_]
    """For each address, whether only the service can read it."""


class DigestKeys:
    """The setting DIGEST_KEYS of the service: `id:base64url,id2:base64url`, oldest first.

    As secret as there: whoever has it and a copy of the digests can test whether an address that
    they know is among them. Raises ValueError, whose message holds no key.
    """

    def __init__(self, text: str) -> None:
        self._chain = [_parse_entry(entry) for entry in text.split(",")]
        blocks = [key.ljust(_BLOCK_BYTES, b"\0") for _, key in self._chain]
        self._pads = [(b.translate(_INNER_PAD), b.translate(_OUTER_PAD)) for b in blocks]

    def __repr__(self) -> str:
        """The ids only: a key in a log is a leaked key."""
        return f"<DigestKeys {','.join(name for name, _ in self._chain)}>"

    @cached_property
    def fingerprints(self) -> list[tuple[str, str]]:
        """Name and fingerprint of each key; it covers those before it."""
        found, state = [], hashlib.sha256(_FINGERPRINT_INPUT).digest()
        for name, key in self._chain:
            state = hmac.digest(key, state, "sha256")
            found.append((f"digest:{name}", state[:HEAD_BYTES].hex()))
        return found

    def check(self, fingerprints: Mapping[str, str]) -> int:
        """How many of our keys the service uses. Raises DigestKeysMismatch if others."""
        length = len(fingerprints)
        if not length or dict(self.fingerprints[:length]) != dict(fingerprints):
            raise DigestKeysMismatch(
                "the service makes digests with other keys: set its DIGEST_KEYS, all of them"
            )
        return length

    def prepare(self, addresses: Sequence[str], scheme: DigestScheme) -> PreparedAddresses:
        """The digests of all forms of these email addresses."""
        digests: list[bytes] = []
        owners: list[int] = []
        unreadable = np.zeros(len(addresses), dtype=np.bool_)
        pads = self._pads[: scheme.length]
        simple = len(pads) == 1 and not scheme.md5
        inner, outer = pads[0]
        for place, address in enumerate(addresses):
            known = forms(address)
            if known is None:
                unreadable[place] = True
            elif simple:
                for form in known:
                    keyed = sha256(inner + sha256(form.encode()).digest()).digest()
                    digests.append(sha256(outer + keyed).digest())
                    owners.append(place)
            else:
                found = list(_digests(known, pads, md5=scheme.md5))
                digests += found
                owners += [place] * len(found)
        return PreparedAddresses(
            scheme,
            len(addresses),
            _heads_of_digests(digests),
            np.array(owners, dtype=np.uint32),
            unreadable,
        )


def read_heads(data: bytes) -> Heads:
    """The heads in a reading. Raises ValueError if one is cut off."""
    return np.frombuffer(data, dtype=">u8").astype(np.uint64)


def _heads_of_digests(digests: Sequence[bytes]) -> Heads:
    joined = np.frombuffer(b"".join(digests), dtype=">u8")
    return joined.reshape(-1, 4)[:, 0].astype(np.uint64)


def _digests(
    known: Iterable[str], pads: Sequence[tuple[bytes, bytes]], *, md5: bool
) -> Iterable[bytes]:
    """Of every form; under each length that the chain had, which opt-outs by mail may name."""
    for form in known:
        text = form.encode()
        starts = [sha256(text).digest()]
        if md5:
            hashed = hashlib.md5(text, usedforsecurity=False).digest()
            starts.append(sha256(_MD5_PREFIX + hashed).digest())
        for start in starts:
            digest = start
            for inner, outer in pads:
                digest = sha256(outer + sha256(inner + digest).digest()).digest()
                yield digest


def _parse_entry(entry: str) -> tuple[str, bytes]:
    name, colon, encoded = entry.strip().partition(":")
    padded = encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4)
    try:
        key = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not colon or len(key) != _KEY_BYTES:
        raise ValueError("DIGEST_KEYS is id:key,id2:key2, as the service has it")
    return name, key
