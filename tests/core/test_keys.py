"""Keys: digests against published vectors, rotation, sealing, and refusing the wrong key."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preference_center.core.addresses import Channel, KeyKind, parse_address
from preference_center.core.errors import (
    ConfigError,
    DecryptionError,
    KeyMismatch,
    PreferenceCenterError,
)
from preference_center.core.key_rings import KeyRing, new_ring_entry, parse_ring
from preference_center.core.keys import DIGEST_BYTES, Keys

D1, D2, D3 = (("d1", b"\x01" * 32), ("d2", b"\x02" * 32), ("d3", b"\x03" * 32))
E1, E2 = (("e1", b"\x11" * 32), ("e2", b"\x12" * 32))
ROW = b"addresses:42"
ENTRY = f"a:{'A' * 43}"  # 32 bytes of zeros in base64url


def keys(digests: KeyRing = (D1,), encryption: KeyRing = (E1,)) -> Keys:
    return Keys(digests, encryption)


def test_the_parts_agree_with_published_vectors() -> None:
    # FIPS 180-4 example "abc", and RFC 4231 test case 1 (key of 20 bytes).
    assert hashlib.sha256(b"abc").hexdigest() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert hmac.digest(b"\x0b" * 20, b"Hi There", "sha256").hex() == (
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    )


def test_a_digest_is_the_hmac_of_the_sha256() -> None:
    # HMAC written out from RFC 2104, with a key of 32 bytes in a block of 64.
    key = D1[1].ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key) + hashlib.sha256(b"jane@firma.it").digest())
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in key) + inner.digest())
    assert keys().digest("jane@firma.it") == outer.digest()


def test_an_imported_sha256_gets_the_digest_of_its_address() -> None:
    sha = hashlib.sha256("jos\u00e9@example.com".encode()).digest()
    address = parse_address("JOSE\u0301@example.com", Channel.EMAIL)
    assert keys((D1, D2)).digest_sha256(sha) == keys((D1, D2)).exact_digest(address)


@pytest.mark.parametrize("sha", [b"", b"x" * 31, b"ab" * 32])
def test_what_is_no_sha256_is_not_digested(sha: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        keys().digest_sha256(sha)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 3))
@settings(max_examples=50)
def test_rotation_wraps_old_digests_into_the_new_ones(form: str, length: int) -> None:
    chain = (D1, D2, D3)
    old = keys(chain[:length]).digest(form)
    assert keys(chain).rewrap(old, from_length=length) == keys(chain).digest(form)


@pytest.mark.parametrize("length", [-1, 0, 3])
def test_a_length_the_chain_never_had_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="earlier length"):
        keys((D1, D2)).rewrap(b"x" * DIGEST_BYTES, from_length=length)


def test_match_keys_carry_the_kinds_of_their_forms() -> None:
    # I9
    ring = keys()
    plain = parse_address("jane@firma.it", Channel.EMAIL)
    tagged = parse_address("jane+news@firma.it", Channel.EMAIL)
    assert ring.match_keys(plain) == {ring.exact_digest(plain): KeyKind.EXACT | KeyKind.MAILBOX}
    assert ring.match_keys(tagged) == {
        ring.exact_digest(tagged): KeyKind.EXACT | KeyKind.MAILBOX,
        ring.exact_digest(plain): KeyKind.BASE,
    }


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary(max_size=40))
@settings(max_examples=100)
def test_sealed_text_opens_in_its_context(text: str, context: bytes) -> None:
    assert keys().open(keys().seal(text, context=context), context=context) == text


@given(st.emails())
@settings(max_examples=100)
def test_no_readable_address_is_left_in_sealed_bytes(email: str) -> None:
    sealed = keys().seal(email, context=ROW)
    local, _, domain = email.rpartition("@")
    assert email.encode() not in sealed
    assert domain.encode() not in sealed
    assert len(local) < 4 or local.encode() not in sealed


def test_the_same_text_never_seals_to_the_same_bytes() -> None:
    # Else a dump would show which rows hold the same address.
    assert len({keys().seal("jane@firma.it", context=ROW) for _ in range(50)}) == 50


def test_the_nonce_is_the_injected_one() -> None:
    fixed = Keys([D1], [E1], nonce=lambda size: b"n" * size)
    assert fixed.seal("jane@firma.it", context=ROW) == fixed.seal("jane@firma.it", context=ROW)
    assert b"n" * 12 in fixed.seal("jane@firma.it", context=ROW)


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    sealed = keys().seal("jane@firma.it", context=ROW)
    flipped = [
        sealed[:at] + bytes((sealed[at] ^ 1 << bit,)) + sealed[at + 1 :]
        for at in range(len(sealed))
        for bit in range(8)
    ]
    cut = [sealed[:length] for length in range(len(sealed))]
    for forged in (*flipped, *cut, sealed + b"\0"):
        with pytest.raises(PreferenceCenterError) as caught:
            keys().open(forged, context=ROW)
        assert isinstance(caught.value, DecryptionError | KeyMismatch)
        assert "jane" not in str(caught.value)


@given(st.binary(max_size=80))
@settings(max_examples=100)
def test_foreign_bytes_are_an_error_of_ours(junk: bytes) -> None:
    with pytest.raises(PreferenceCenterError):
        keys().open(junk, context=ROW)


def test_text_moved_to_another_row_does_not_open() -> None:
    sealed = keys().seal("jane@firma.it", context=b"addresses:42")
    with pytest.raises(DecryptionError):
        keys().open(sealed, context=b"addresses:43")


def test_the_first_key_seals_and_older_ones_still_open() -> None:
    old = keys(encryption=[E1]).seal("jane@firma.it", context=ROW)
    rotated = keys(encryption=[E2, E1])
    assert rotated.open(old, context=ROW) == "jane@firma.it"
    new = rotated.seal("jane@firma.it", context=ROW)
    assert keys(encryption=[E2]).open(new, context=ROW) == "jane@firma.it"
    with pytest.raises(KeyMismatch, match="ENCRYPTION_KEYS"):
        keys(encryption=[E1]).open(new, context=ROW)


def test_another_key_under_the_same_id_does_not_open() -> None:
    sealed = keys().seal("jane@firma.it", context=ROW)
    with pytest.raises(DecryptionError):
        keys(encryption=[("e1", E2[1])]).open(sealed, context=ROW)


def test_ids_name_the_newest_digest_key_and_the_sealing_key() -> None:
    ring = keys((D1, D2), (E2, E1))
    assert (ring.digest_id, ring.encryption_id) == ("d2", "e2")


def test_fingerprints_of_the_same_keys_are_accepted_also_after_rotation() -> None:
    stored = keys((D1,), (E1,)).fingerprints()
    assert set(stored) == {"digest:d1", "encryption:e1"}
    keys((D1,), (E1,)).verify_fingerprints(stored)
    keys((D1, D2), (E2, E1)).verify_fingerprints(stored)
    keys((D1, D2), (E2,)).verify_fingerprints(stored)  # a retired encryption key


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(keys([("d1", b"?" * 32)]), id="another digest key under the id"),
        pytest.param(keys([D2]), id="digest key gone"),
        pytest.param(keys([D2, D1]), id="digest key put before it"),
        pytest.param(keys([D1], [("e1", b"?" * 32)]), id="another encryption key under the id"),
    ],
)
def test_other_keys_than_the_stored_ones_are_refused_with_the_remedy(other: Keys) -> None:
    with pytest.raises(KeyMismatch, match=r"[Pp]ut"):
        other.verify_fingerprints(keys().fingerprints())


def test_a_fingerprint_shows_neither_key_nor_a_usable_digest() -> None:
    for fingerprint in keys().fingerprints().values():
        assert len(bytes.fromhex(fingerprint)) == 8
        assert D1[1].hex().find(fingerprint) == -1


def test_a_repr_shows_ids_only() -> None:
    # I12
    assert repr(keys((D1, D2), (E2, E1))) == "<Keys digest=d1,d2 encryption=e2,e1>"


@pytest.mark.parametrize(
    "digests, encryption, message",
    [
        ([], [E1], "empty"),
        ([D1], [], "empty"),
        ([D1, ("d1", D2[1])], [E1], "id twice"),
        ([D1, ("d2", D1[1])], [E1], "are the same"),
        ([D1], [("e1", D1[1])], "are the same"),  # three separate keys
        ([("d1", b"short")], [E1], "5 bytes"),
        ([("d:1", b"x" * 32)], [E1], "an id is"),
    ],
)
def test_bad_rings_are_refused(
    digests: list[tuple[str, bytes]], encryption: list[tuple[str, bytes]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Keys(digests, encryption)


def test_a_ring_setting_is_read_in_its_order() -> None:
    first, second = new_ring_entry("2025"), new_ring_entry("2026")
    ring = parse_ring(f" {first},\n {second}=")
    assert [key_id for key_id, _ in ring] == ["2025", "2026"]
    assert all(len(key) == 32 for _, key in ring)
    assert ring[0][1] != ring[1][1]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "Key 1: write id:key"),
        ("justakey", "Key 1: write id:key"),
        (f"{ENTRY},", "Key 2: write id:key"),
        ("a:SECRET!!", r"Key 1 \(a\): the key is not base64url"),
        ("a:SECRET", "must have 32"),
        ("a:S\u00c9CRET", "not base64url"),
        ("a b:SECRET", "Key 1: write id:key"),
        (f"{ENTRY},{ENTRY}", "id twice"),
    ],
)
def test_a_bad_ring_setting_names_the_position_and_shows_no_key(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_ring(text)
    assert "SECRET" not in str(caught.value)
    assert "justakey" not in str(caught.value)


def test_a_bad_id_makes_no_ring_entry() -> None:
    with pytest.raises(ConfigError, match="id"):
        new_ring_entry("a,b")
