"""What of evidence may stay readable for ever."""

from __future__ import annotations

import base64
import hashlib

import pytest

from preference_center.core.addresses import Channel, parse_address, parse_hashed_address
from preference_center.ledger.rules import contains_address, is_opaque, redact_evidence

ADA = parse_address("Ada+news@gmail.com", Channel.EMAIL)
PHONE = parse_address("+39 333 123 4567", Channel.SMS)
WRITINGS = {
    "plain": "ada+news@gmail.com",
    "in-upper-case": "x ADA+NEWS@GMAIL.COM y",
    "the-mailbox": "ada@gmail.com",
    "escaped": "ada%2Bnews%40gmail.com",
    "verp": "bounce-ada+news=gmail.com",
    "md5": hashlib.md5(b"ada+news@gmail.com", usedforsecurity=False).hexdigest().upper(),
    "sha1": hashlib.sha1(b"ada@gmail.com", usedforsecurity=False).hexdigest(),
    "sha256": hashlib.sha256(b"ada+news@gmail.com").hexdigest(),
    "base64": base64.b64encode(b"ada+news@gmail.com").decode(),
    "a-message-id": "<1.ada@gmail.com>",
}


@pytest.mark.parametrize("text", WRITINGS.values(), ids=WRITINGS)
def test_no_writing_of_the_address_stays(text: str) -> None:  # I6, I8
    assert contains_address(text, ADA)
    for name in ("message_id", "id", "group", "source"):
        assert redact_evidence({name: text}, ADA, lambda _: "digest") == {name: "digest"}


@pytest.mark.parametrize("text", ["3331234567", "+39 333 123-4567", "tel:00393331234567"])
def test_no_writing_of_the_number_stays(text: str) -> None:
    assert contains_address(text, PHONE)


def test_the_hash_of_somebody_known_by_it_only_does_not_stay() -> None:
    hashed = parse_hashed_address("ab" * 32, Channel.EMAIL)
    assert contains_address("AB" * 32, hashed)


@pytest.mark.parametrize(
    "text", ["bob@example.com", "<abc@example.com>", "a%40b", "+39 02 1234567", "3331234567"]
)
def test_a_message_id_may_name_nobody_else_either(text: str) -> None:
    assert not is_opaque(text)
    assert redact_evidence({"message_id": text}, ADA, lambda _: "digest") == {
        "message_id": "digest"
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0198f1de-7c1a-7000-8000-0000000000ab",
        "spring-2026",
        "4711",
        "2026-11/17:42",
        "x1234567",
    ],
)
def test_an_id_that_is_only_an_id_stays(text: str) -> None:
    assert redact_evidence({"message_id": text}, ADA, lambda _: "digest") == {"message_id": text}


def test_what_others_are_called_in_the_words_of_a_consent_stays() -> None:
    words = {"wording": "Write to privacy@acme.example to withdraw.", "issued_at": "3331234567"}
    assert redact_evidence(words, PHONE, lambda _: "digest") == words
