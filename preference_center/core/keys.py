"""Keys make digests of addresses and encrypt what is stored. Pure: no I/O, no database.

The three secrets are separate: the digest chain and the encryption ring are here, links have
their own ring in `core.links`. A digest finds a row without its address; only sealed text can be
decrypted to an address.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import assert_never

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from preference_center.core.addresses import (
    HASHED_ADDRESS_KINDS,
    Address,
    HashAlgorithm,
    HashedAddress,
    KeyKind,
)
from preference_center.core.errors import ConfigError, DecryptionError, KeyMismatch
from preference_center.core.key_rings import KeyRing, validate_ring

DIGEST_BYTES = 32  # SHA-256


_NONCE_BYTES = 12  # NIST SP 800-38D 8.2.2: random 96 bits, fine for 2**32 texts per key


_SEAL_VERSION = 1


# Not an address, so the digest is of nobody; a fingerprint is the head of that digest.
_FINGERPRINT_INPUT = b"preference-center: fingerprint of a key, not an address"


_FINGERPRINT_BYTES = 8

NEXT_DIGEST = "next_digest"


# Prefix of an MD5: its digests differ from those of all canonical forms.
MD5_PREFIX = b"preference-center: MD5 of an address\0"


# Prefix of a text of an event's evidence.
_EVIDENCE_PREFIX = b"preference-center: text of evidence\0"


# Prefix of the beginning of a digest.
_PREFIX_PREFIX = b"preference-center: beginning of a digest\0"


# RFC 2104 2: what the key is XORed with, for SHA-256's blocks.
_BLOCK_BYTES = 64


_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))


_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Keys:
    """The digest chain (oldest first) and the encryption ring (newest first).

    Each entry is an id and 32 bytes. Rotating digests appends to the chain: the new key
    is applied over the old digest, so `rewrap` needs no readable address. Until a database
    has been brought to it, only the keys before it make digests: see `follow`. Rotating
    encryption prepends to the ring: the first key seals, every key opens.
    Raises ConfigError when a ring is empty, repeats an id or a key, or has an invalid one.
    """

    digest_chain: KeyRing
    encryption: KeyRing
    nonce: Callable[[int], bytes] = os.urandom
    _macs: tuple[hmac.HMAC, ...] = field(init=False)
    _macs_in_use: list[tuple[hmac.HMAC, ...]] = field(init=False)
    """One element: those of the keys that make digests, which `follow` replaces at once."""
    _ciphers: Mapping[bytes, AESGCM] = field(init=False)

    def __post_init__(self) -> None:
        validate_ring("digest chain", self.digest_chain)
        validate_ring("encryption ring", self.encryption)
        every_key = [key for _, key in (*self.digest_chain, *self.encryption)]
        if len(set(every_key)) != len(every_key):
            raise ConfigError("Two keys are the same: make a separate key for each purpose and id.")
        macs = tuple(hmac.new(key, digestmod="sha256") for _, key in self.digest_chain)
        derived = {
            "digest_chain": tuple(self.digest_chain),
            "encryption": tuple(self.encryption),
            "_macs": macs,
            "_macs_in_use": [macs],
            "_ciphers": {name.encode(): AESGCM(key) for name, key in self.encryption},
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        """The ids only: a key in a log is a leaked key."""
        digests = ",".join(name for name, _ in self.digest_chain)
        ciphers = ",".join(name for name, _ in self.encryption)
        return f"<Keys digest={digests} encryption={ciphers}>"

    @property
    def digest_length(self) -> int:
        """How many keys of the chain make digests: all, until `follow` says otherwise."""
        return len(self._macs_in_use[0])

    @property
    def is_digest_key_waiting(self) -> bool:
        """Whether the chain has a key that the stored digests do not have yet."""
        return self.digest_length < len(self._macs)

    def follow(self, digest_length: int) -> None:
        """Make digests with so many keys of the chain, as the database does from now on.

        Raises KeyMismatch if the chain has fewer: its digests would find nothing.
        """
        if digest_length != self.digest_length:
            self._macs_in_use[0] = self._first_macs(digest_length)

    def with_length(self, digest_length: int) -> Keys:
        """These keys, of which so many make digests, whatever `follow` sets. Raises KeyMismatch.

        For a transaction, or a replica, whose digests are those of another moment.
        """
        keys = copy(self)
        object.__setattr__(keys, "_macs_in_use", [self._first_macs(digest_length)])
        return keys

    def _first_macs(self, digest_length: int) -> tuple[hmac.HMAC, ...]:
        if digest_length > len(self._macs):
            raise KeyMismatch(
                f"DIGEST_KEYS has {len(self._macs)} keys, but the stored digests have been brought"
                f" to {digest_length}: add the newer key at the end, and restart."
            )
        return self._macs[:digest_length]

    @property
    def digest_id(self) -> str:
        """Id of the newest digest key in use: the one that new digests end with."""
        return self.digest_chain[self.digest_length - 1][0]

    @property
    def encryption_id(self) -> str:
        """Id of the key that seals."""
        return self.encryption[0][0]

    def digest(self, canonical_form: str) -> bytes:
        """The 32-byte digest of a canonical form: HMAC-SHA-256 (RFC 2104) of its SHA-256."""
        return self.digest_sha256(hashlib.sha256(canonical_form.encode()).digest())

    def digest_sha256(self, sha256: bytes) -> bytes:
        """The same digest from an imported SHA-256 of a canonical form.

        Raises ValueError unless `sha256` is 32 bytes.
        """
        if len(sha256) != DIGEST_BYTES:
            raise ValueError("A SHA-256 has 32 bytes")
        return _apply_macs(self._macs_in_use[0], sha256)

    def rewrap(self, old_digest: bytes, from_length: int, to_length: int | None = None) -> bytes:
        """A digest made with the first `from_length` keys, brought to those in use.

        Or to the first `to_length` keys. Raises ValueError when the chain was never that long or
        the digest is not 32 bytes.
        """
        last = self.digest_length if to_length is None else to_length
        if not 1 <= from_length <= last <= len(self._macs) or len(old_digest) != DIGEST_BYTES:
            raise ValueError("Not a digest of an earlier length of this chain")
        return _apply_macs(self._macs[from_length:last], old_digest)

    def rewrap_prefix(self, prefix: bytes, from_length: int, to_length: int | None = None) -> bytes:
        """What stands for the beginning of a digest of an earlier length of the chain.

        A token keeps the beginning of the digest that it was made with, which can't be rewrapped
        itself. Differs from all other digests.
        """
        sha256 = hashlib.sha256(_PREFIX_PREFIX + prefix).digest()
        return self.rewrap(sha256, from_length, to_length)

    def digest_md5(self, md5: bytes) -> bytes:
        """A digest from an MD5 of a canonical form; never equal to a `digest`."""
        return self.digest_sha256(hashlib.sha256(MD5_PREFIX + md5).digest())

    def evidence_hmac(self, text: str) -> str:
        """The HMAC that replaces a text in evidence, so that who has the text can find it."""
        return self.evidence_hmacs(text)[-1]

    def evidence_hmacs(self, text: str) -> list[str]:
        """The same for each length of the digest chain, the oldest first."""
        sha = hashlib.sha256(_EVIDENCE_PREFIX + text.encode()).digest()
        return [
            f"hmac:{key_id}:{digest.hex()}"
            for (key_id, _), digest in zip(
                self.digest_chain, self.digests_by_length(sha), strict=False
            )
        ]

    def digests_by_length(self, sha256: bytes) -> list[bytes]:
        """The digest of a SHA-256 under each length that the chain in use had, the oldest first."""
        digests, digest = [], sha256
        for mac in self._macs_in_use[0]:
            digest = _apply_macs((mac,), digest)
            digests.append(digest)
        return digests

    def hmac_pads(self) -> list[tuple[bytes, bytes]]:
        """The inner and outer pads of the digest keys in use, for engines with SHA-256 but no HMAC.

        As secret as the keys: HMAC(m) is SHA-256(outer, SHA-256(inner, m)) (RFC 2104 2).
        """
        chain = self.digest_chain[: self.digest_length]
        blocks = [key.ljust(_BLOCK_BYTES, b"\0") for _, key in chain]
        return [(block.translate(_INNER_PAD), block.translate(_OUTER_PAD)) for block in blocks]

    def exact_digest(self, address: Address | HashedAddress) -> bytes:
        """The digest of the address itself, for data rights (I9).

        That of an address and of its SHA-256 are the same; that of its MD5 is another.
        """
        if isinstance(address, Address):
            return self.digest(address.exact)
        match address.algorithm:
            case HashAlgorithm.SHA256:
                return self.digest_sha256(address.digest)
            case HashAlgorithm.MD5:
                return self.digest_md5(address.digest)
            case HashAlgorithm.KEYED:
                return address.digest
            case _:
                assert_never(address.algorithm)

    def match_keys(self, address: Address | HashedAddress) -> dict[bytes, KeyKind]:
        """Every digest under which the address may be found, with its kinds.

        Compare the kinds of both sides with `core.addresses.may_match`. MD5 hashes of an address
        are found under its `md5_keys` only.
        """
        if isinstance(address, HashedAddress):
            return {self.exact_digest(address): HASHED_ADDRESS_KINDS}
        return {self.digest(form): kind for form, kind in address.forms().items()}

    def earlier_exact_digests(self, address: Address | HashedAddress) -> list[bytes]:
        """The exact digests that the address had with fewer keys, the oldest first."""
        if self.digest_length == 1:
            return []
        if isinstance(address, Address):
            sha256 = hashlib.sha256(address.exact.encode()).digest()
        elif address.algorithm is HashAlgorithm.SHA256:
            sha256 = address.digest
        else:
            return []
        return self.digests_by_length(sha256)[:-1]

    def earlier_match_keys(self, address: Address) -> dict[bytes, KeyKind]:
        """`match_keys` with fewer keys: an opt-out by mail may name one of these by its beginning.

        Empty until the digest keys have been rotated.
        """
        if self.digest_length == 1:
            return {}
        return {
            digest: kind
            for form, kind in address.forms().items()
            for digest in self.digests_by_length(hashlib.sha256(form.encode()).digest())[:-1]
        }

    def md5_keys(self, address: Address) -> dict[bytes, KeyKind]:
        """The same as `match_keys`, to match addresses known by an MD5 only."""
        return {
            self.digest_md5(hashlib.md5(form.encode(), usedforsecurity=False).digest()): kind
            for form, kind in address.forms().items()
        }

    def seal(self, text: str, *, context: bytes) -> bytes:
        """Encrypt `text` (AES-256-GCM) for one place, named by `context`.

        The context (say, table and row id) is authenticated, not stored: text moved to
        another row does not open. Layout: version, length of key id, key id, nonce,
        ciphertext with tag.
        """
        name = self.encryption_id.encode()
        header = bytes((_SEAL_VERSION, len(name))) + name
        nonce = self.nonce(_NONCE_BYTES)
        sealed = self._ciphers[name].encrypt(nonce, text.encode(), header + context)
        return header + nonce + sealed

    def sealing_key_id(self, ciphertext: bytes) -> str:
        """Id of the key that sealed this. Raises DecryptionError if it is damaged."""
        return _split_seal(ciphertext)[0].decode()

    def reseal(self, ciphertext: bytes, *, context: bytes) -> bytes:
        """The same text sealed for the same context by the first key. Raises as `open` does."""
        return self.seal(self.open(ciphertext, context=context), context=context)

    def open(self, ciphertext: bytes, *, context: bytes) -> str:
        """The text that `seal` encrypted for the same context.

        Raises DecryptionError when it was altered, truncated or sealed for another context,
        and KeyMismatch when its key is not in the ring.
        """
        name, body = _split_seal(ciphertext)
        header = ciphertext[: len(ciphertext) - len(body)]
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise KeyMismatch(
                "Stored data was encrypted with a key that is not in ENCRYPTION_KEYS:"
                " put the older key back, after the first one."
            )
        try:
            nonce, sealed = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
            return cipher.decrypt(nonce, sealed, header + context).decode()
        except (InvalidTag, ValueError):
            raise DecryptionError(
                "Encrypted data was altered, or belongs to another row: restore it from a backup."
            ) from None

    def fingerprints(self) -> dict[str, str]:
        """`purpose:id` to a fingerprint of each key, to store with the data.

        A digest key's fingerprint covers the keys before it: order is part of the chain.
        """
        prints = {}
        state = hashlib.sha256(_FINGERPRINT_INPUT).digest()
        for name, key in self.digest_chain:
            state = hmac.digest(key, state, "sha256")
            prints[f"digest:{name}"] = state[:_FINGERPRINT_BYTES].hex()
        for name, key in self.encryption:
            fingerprint = hmac.digest(key, _FINGERPRINT_INPUT, "sha256")
            prints[f"encryption:{name}"] = fingerprint[:_FINGERPRINT_BYTES].hex()
        return prints

    def verify_fingerprints(self, stored: Mapping[str, str]) -> None:
        """Check that the keys are those the stored data was made with.

        `stored` is an earlier result of `fingerprints`; the key to which digests are being brought
        is named with NEXT_DIGEST instead of "digest". Raises KeyMismatch, with the remedy, when a
        key of a stored id differs or a digest key is missing. A retired encryption key may be
        missing: its data has been sealed with a newer one.
        """
        ours = self.fingerprints()
        for name, fingerprint in stored.items():
            purpose, _, key_id = name.partition(":")
            setting = f"{purpose.upper()}_KEYS"
            if name in ours and ours[name] != fingerprint:
                raise KeyMismatch(
                    f"{setting}: the key {key_id!r}, or for digests one before it, is not the one"
                    " this database was made with. Put the original keys back in their order;"
                    " add a new key under a new id."
                )
            if purpose == NEXT_DIGEST and ours.get(f"digest:{key_id}") != fingerprint:
                raise KeyMismatch(
                    f"DIGEST_KEYS: the stored digests are being brought to the key {key_id!r}. Add"
                    " it at the end, and restart: without it no opt-out would be found soon."
                )
            if name not in ours and purpose == "digest":
                raise KeyMismatch(
                    f"{setting}: the key {key_id!r}, with which this database was made, is missing."
                    " Put it back in its place: the chain only grows at its end."
                )


def _apply_macs(macs: Sequence[hmac.HMAC], digest: bytes) -> bytes:
    for mac in macs:
        keyed = mac.copy()  # a third faster than hmac.digest, which sets up the key each time
        keyed.update(digest)
        digest = keyed.digest()
    return digest


def _split_seal(ciphertext: bytes) -> tuple[bytes, bytes]:
    """The key id in the header of sealed data, and the rest after the header."""
    fixed = 2  # version and length of the id
    if len(ciphertext) <= fixed or ciphertext[0] != _SEAL_VERSION:
        raise DecryptionError("Encrypted data is damaged: restore it from a backup.")
    end = fixed + ciphertext[1]
    return ciphertext[fixed:end], ciphertext[end:]
