"""Hashes as other people's lists have them."""

from __future__ import annotations

import hashlib

import pytest

from preference_center.core.addresses import Channel, HashAlgorithm, parse_hashed_address
from preference_center.core.errors import InvalidAddress

SHA256 = hashlib.sha256(b"jane@example.org")
MD5 = hashlib.md5(b"jane@example.org", usedforsecurity=False)


@pytest.mark.parametrize(
    "text,algorithm,digest_bytes",
    [
        (SHA256.hexdigest(), HashAlgorithm.SHA256, SHA256.digest()),
        (SHA256.hexdigest().upper(), HashAlgorithm.SHA256, SHA256.digest()),
        (f" {MD5.hexdigest()}\r\n", HashAlgorithm.MD5, MD5.digest()),
    ],
)
def test_hex_of_either_length_and_case_is_read(
    text: str, algorithm: HashAlgorithm, digest_bytes: bytes
) -> None:
    found = parse_hashed_address(text, Channel.EMAIL)
    assert (found.algorithm, found.digest, found.channel) == (
        algorithm,
        digest_bytes,
        Channel.EMAIL,
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jane@example.org",
        SHA256.hexdigest()[1:],
        "0x" + MD5.hexdigest()[2:],
        "g" * 64,
        "\uff10" * 32,  # full-width digits
        " ".join([MD5.hexdigest()[:15], MD5.hexdigest()[:16]]),
        hashlib.sha1(b"jane@example.org", usedforsecurity=False).hexdigest(),
    ],
)
def test_anything_else_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidAddress, match="64 hexadecimal digits") as caught:
        parse_hashed_address(text, Channel.EMAIL)
    assert not text or text not in str(caught.value)  # I12


def test_a_hash_is_not_shown() -> None:  # I12
    found = parse_hashed_address(MD5.hexdigest(), Channel.SMS)
    assert repr(found) == "<Hashed sms md5>"
