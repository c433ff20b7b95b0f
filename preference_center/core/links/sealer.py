"""Encrypt and sign tokens, so that holders can neither read nor alter them.

A token is `key id . sealed payload . signature`: AES-SIV (RFC 5297) encrypts the payload,
itsdangerous signs. SIV needs no nonce, so a key may seal any number of links; GCM with random
nonces is limited to 2^32 (NIST SP 800-38D 8.3).
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from itsdangerous import BadSignature, Signer
from itsdangerous.signer import HMACAlgorithm

from preference_center.core.errors import ConfigError, InvalidLink

INVALID_LINK_MESSAGE = "this link is not one of ours, or was altered"
"""One message for all errors, so that a forger learns nothing from it."""

_KEY_BYTES = 32


class _ShortHMAC(HMACAlgorithm):
    """HMAC-SHA-256 cut to 128 bits (RFC 2104 5); the AEAD's tag adds as many again."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return super().get_signature(key, value)[:16]


class _StrictSigner(Signer):
    """Compares encoded signatures: decoding first would accept several encodings."""

    def verify_signature(self, value: str | bytes, sig: str | bytes) -> bool:
        given = sig.encode() if isinstance(sig, str) else sig
        return hmac.compare_digest(self.get_signature(value), given)


class Sealer:
    """Encrypts and signs bytes for one purpose, with a ring of keys."""

    __slots__ = ("_keys", "_newest")

    def __init__(self, ring: Sequence[tuple[str, bytes]], purpose: str) -> None:
        self._newest = ring[0][0]
        self._keys = {
            key_id: (
                AESSIV(derive_key(key, f"{purpose} encryption", 64)),
                _StrictSigner(
                    derive_key(key, f"{purpose} signature"),
                    key_derivation="none",  # HKDF has done it
                    algorithm=_ShortHMAC(sha256),
                ),
            )
            for key_id, key in ring
        }

    def seal(self, payload: bytes) -> str:
        """The token, sealed with the newest key."""
        siv, signer = self._keys[self._newest]
        sealed = urlsafe_b64encode(siv.encrypt(payload, None)).rstrip(b"=")
        return signer.sign(self._newest.encode() + b"." + sealed).decode()

    def open(self, token: str) -> tuple[str, bytes]:
        """The id of the key and the payload. Raises InvalidLink."""
        key_id = token.partition(".")[0]
        keys = self._keys.get(key_id)
        if keys is None:
            raise InvalidLink(INVALID_LINK_MESSAGE)
        siv, signer = keys
        try:
            # Only what we signed passes `unsign`, so lenient base64 is harmless after it.
            sealed = signer.unsign(token.encode("ascii"))[len(key_id) + 1 :]
            payload = siv.decrypt(urlsafe_b64decode(sealed + b"=" * (-len(sealed) % 4)), None)
        except (BadSignature, InvalidTag, ValueError):
            raise InvalidLink(INVALID_LINK_MESSAGE) from None
        return key_id, payload


def derive_key(key: bytes, purpose: str, size: int = 32) -> bytes:
    """A key of `size` bytes for one purpose, derived from one of the ring (RFC 5869)."""
    info = f"preference_center.links {purpose}".encode()
    return HKDF(SHA256(), length=size, salt=None, info=info).derive(key)


def validate_ring(ring: Sequence[tuple[str, bytes]]) -> Sequence[tuple[str, bytes]]:
    """The ring itself. Raises ConfigError for an invalid one."""
    if not ring or len(dict(ring)) != len(ring):
        raise ConfigError("LINK_KEYS needs at least one key, each with an id of its own")
    for key_id, key in ring:
        if len(key) != _KEY_BYTES or not key_id.replace("-", "").replace("_", "").isalnum():
            raise ConfigError("LINK_KEYS: an id has letters, digits, - and _; a key 32 bytes")
    return ring
