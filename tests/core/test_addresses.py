"""Addresses: the corpus of pairs, and what must hold for any text whatever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preference_center.core import addresses
from preference_center.core.addresses import (
    MAX_EMAIL_BYTES,
    Address,
    Channel,
    KeyKind,
    is_same_address,
    mask_address,
    matches,
    may_match,
    parse_address,
)
from preference_center.core.errors import InvalidAddress

CORPUS = json.loads((Path(__file__).parents[1] / "corpus" / "address_pairs.json").read_text())
CHANNELS = {"email": Channel.EMAIL, "phone": Channel.SMS}

ATEXT = "abcXYZ019.._-+!#$%&'*/=?^`{|}~"
NEAR_LOCALS = st.text(ATEXT, max_size=12) | st.text(ATEXT, min_size=60, max_size=70)
NEAR_DOMAINS = st.sampled_from(
    [
        "gmail.com", "GoogleMail.com", "proton.me", "me.com", "hotmail.it", "firma.it", "a.b-c.co",
        "localhost", "x.localhost", "corp.local", "x.onion", "x.invalid", "in-addr.arpa", "x.arpab",
        "x.test", "test", "ab--cd.com", "a--b.com", "xn--bcher-kva.example", "xn--zz.com",
        "a_b.com", "-a.com", "a-.com", "a..com", "a.com.", ".com", "x.c", "x.1a", "x.a1", "1.2.3.4",
        "[192.0.2.1]", "[IPv6:2001:DB8::1]", "a" * 64 + ".com", "a" * 63 + ".com",
        ".".join(["a" * 60] * 4) + ".it", "b\u00fccher.example", "exam\u00adple.com",
    ]
) | st.text("abZ09.-", max_size=12)  # fmt: skip
WRAPPERS = st.sampled_from(["{}", " {} ", "<{}>", "mailto:{}", "Jane <{}>", "{}\n", '"{}'])


@st.composite
def near_addresses(draw: st.DrawFn, *, locals_: st.SearchStrategy[str] = NEAR_LOCALS) -> str:
    return draw(WRAPPERS).format(f"{draw(locals_)}@{draw(NEAR_DOMAINS)}")


UNICODE_LOCALS = st.text(max_size=8) | st.text(ATEXT + '"\\@ \u0130\u03a3\u0301\u200d\uff21\u212a')
ANY_ADDRESSES = near_addresses() | near_addresses(locals_=UNICODE_LOCALS)
PHONES = st.from_regex(r"\A(\+|00)?[0-9][0-9 ()./-]{3,16}( ext\. [0-9]{1,3})?\Z")


def outcome(function: Any, *args: Any) -> Address | str:
    try:
        result = function(*args)
    except InvalidAddress as error:
        return str(error)
    assert isinstance(result, Address)
    return result


@pytest.mark.parametrize("pair", CORPUS["pairs"], ids=lambda pair: pair["id"])
def test_corpus_pair_is_matched_as_in_the_table(pair: dict[str, Any]) -> None:
    channel = CHANNELS[pair["kind"]]
    if "reference_parse_error" in pair:  # fail closed (I11)
        with pytest.raises(InvalidAddress):
            parse_address(pair["suppressed"], channel)
        return
    suppressed, candidate = (
        parse_address(pair["suppressed"], channel, region="IT"),
        parse_address(pair["candidate"], channel, region="IT"),
    )
    assert matches(candidate, suppressed) is pair["must_match"]
    # I9
    assert is_same_address(candidate, suppressed) is pair["same_person_for_rights"]


@pytest.mark.parametrize("channel", list(Channel))
@pytest.mark.parametrize("refused", CORPUS["refused"], ids=lambda refused: refused["why"])
def test_refused_input_names_the_fix_without_repeating_it(
    refused: dict[str, str], channel: Channel
) -> None:
    with pytest.raises(InvalidAddress) as caught:
        parse_address(refused["input"], channel)
    message = str(caught.value)
    assert "send" in message or "write" in message
    assert "jane" not in message  # I12
    assert caught.value.__context__ is None  # nor does a traceback show the library's words


@given(st.text() | ANY_ADDRESSES | PHONES, st.sampled_from(Channel))
@settings(max_examples=400)
@example("\udfff", Channel.SMS)
@example("\uff0b39 333 1234567", Channel.PHONE)
def test_any_text_parses_or_is_invalid_and_nothing_else(text: str, channel: Channel) -> None:
    result = outcome(parse_address, text, channel)
    if isinstance(result, Address):
        assert mask_address(result)
        assert len(result.exact.encode()) <= MAX_EMAIL_BYTES


@given(ANY_ADDRESSES)
@settings(max_examples=600)
@example("\u0130\u0130@example.com")
@example('"a\\"b"@example.com')
@example("jane.@example.com")
@example("jane@[IPv6:2001:DB8:0:0::1]")
def test_a_canonical_email_is_its_own_canonical_form(text: str) -> None:
    result = outcome(parse_address, text, Channel.EMAIL)
    if isinstance(result, Address):
        assert parse_address(result.exact, Channel.EMAIL) == result


@given(PHONES, st.sampled_from(["IT", "GB", "US", "AR", "MX"]))
@settings(max_examples=300)
@example("000000000000", "AR")
def test_a_canonical_phone_is_its_own_canonical_form_in_any_region(text: str, region: str) -> None:
    try:
        result = parse_address(text, Channel.SMS, region=region)
    except InvalidAddress:
        return
    assert parse_address(result.exact, Channel.SMS, region="DE") == result


@given(near_addresses())
@settings(max_examples=1000)
@example("jane@x.localhost")
@example("jane@ab--cd.com")
@example("jane@" + "a" * 64 + ".com")
@example("a" * 250 + "@b.it")
@example("+jane@gmail.com")
@example("...@gmail.com")
def test_the_fast_path_answers_as_the_slow_one(text: str) -> None:
    assert outcome(parse_address, text, Channel.EMAIL) == outcome(addresses._parse_email, text)


@pytest.mark.parametrize(
    "text", ["Jane.Doe@Example.COM", "j.a.n.e+x@gmail.com", "o'hara+1@sub.firma-x.co.uk"]
)
def test_plain_addresses_take_the_fast_path(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = addresses._parse_email(text)
    monkeypatch.delattr(addresses, "_parse_email")
    assert parse_address(text, Channel.EMAIL) == expected


@given(near_addresses())
@settings(max_examples=300)
def test_wider_forms_are_canonical_too(text: str) -> None:
    # Else a suppression of the bare mailbox would lie under another digest.
    result = outcome(parse_address, text, Channel.EMAIL)
    if isinstance(result, Address) and result.exact.isascii():
        for form in result.forms():
            assert parse_address(form, Channel.EMAIL).exact == form


@given(ANY_ADDRESSES, ANY_ADDRESSES)
@settings(max_examples=200)
def test_matching_is_symmetric_and_includes_oneself(one: str, other: str) -> None:
    a, b = outcome(parse_address, one, Channel.EMAIL), outcome(parse_address, other, Channel.EMAIL)
    if isinstance(a, Address) and isinstance(b, Address):
        assert matches(a, a)
        assert matches(a, b) is matches(b, a)


@pytest.mark.parametrize(
    "text, forms",
    [
        ("jane@firma.it", {"jane@firma.it": KeyKind.EXACT | KeyKind.MAILBOX}),
        (
            "jane+a+b@firma.it",
            {"jane+a+b@firma.it": KeyKind.EXACT | KeyKind.MAILBOX, "jane@firma.it": KeyKind.BASE},
        ),
        (
            "j.ane+a@googlemail.com",
            {"j.ane+a@googlemail.com": KeyKind.EXACT, "jane@gmail.com": KeyKind.MAILBOX},
        ),
        ('"jane+a b"@firma.it', {'"jane+a b"@firma.it': KeyKind.EXACT | KeyKind.MAILBOX}),
        ("+a@gmail.com", {"+a@gmail.com": KeyKind.EXACT | KeyKind.MAILBOX}),
    ],
)
def test_forms_name_each_string_once_with_all_its_kinds(
    text: str, forms: dict[str, KeyKind]
) -> None:
    assert parse_address(text, Channel.EMAIL).forms() == forms


def test_may_match_never_joins_two_tags_of_one_base() -> None:
    # I9, corpus e062
    assert not may_match(KeyKind.BASE, KeyKind.BASE)
    assert may_match(KeyKind.EXACT, KeyKind.BASE)
    assert may_match(KeyKind.BASE, KeyKind.EXACT | KeyKind.MAILBOX)
    assert may_match(KeyKind.MAILBOX, KeyKind.EXACT | KeyKind.MAILBOX)
    assert not may_match(KeyKind.MAILBOX, KeyKind.EXACT)
    # All rows found under one digest may be OR-ed: a tag never hides a direct hit.
    assert may_match(KeyKind.BASE, KeyKind.BASE | KeyKind.EXACT)


@pytest.mark.parametrize(
    "text, exact",
    [
        ("mailto:Jane@Example.com?subject=stop", "jane@example.com"),
        ("\u00c9lodie \u00c0 <jane@example.com>", "jane@example.com"),
        ("jane\uff20example\uff0ecom", "jane@example.com"),
        ("ja\u200bne@example.com\u200d", "jane@example.com"),
        ("jane@exam\u2060ple.com\u3002", "jane@example.com"),
        ("\u212aate@example.com", "kate@example.com"),
        ("jane@stra\u00dfe.example", "jane@xn--strae-oqa.example"),
        ('"JANE."@docomo.example', "jane.@docomo.example"),
        ('"\\j\\a"@example.com', "ja@example.com"),
        ("a" * 100 + "@example.com", "a" * 100 + "@example.com"),
    ],
)
def test_spellings_found_in_the_wild_become_one(text: str, exact: str) -> None:
    assert parse_address(text, Channel.EMAIL).exact == exact


@pytest.mark.parametrize(
    "text",
    [
        "a@example.com, b@example.com",
        '"A" <a@example.com>, "B" <b@example.com>',
        "a@example.com <b@example.com>",
        "jane @example.com",
        "jane\u00a0doe@example.com",
        "jane@example.com..",
        "a" * 243 + "@example.com",  # 255 bytes
        "\u00e9" * 122 + "@example.com",  # 256 bytes in 134 characters
        "\u0130" * 100 + "@example.com",  # 212 bytes, 312 in lower case
        "x" * 100_000 + "@example.com",
        "jane@" + "a." * 5000 + "com",
    ],
)
def test_what_is_not_one_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_address(text, Channel.EMAIL)


def test_254_bytes_are_the_limit() -> None:
    longest = "a" * 242 + "@example.com"
    assert len(longest) == MAX_EMAIL_BYTES
    assert parse_address(longest, Channel.EMAIL).exact == longest


@pytest.mark.parametrize(
    "text, exact",
    [
        ("tel:+39-333-1234567", "+393331234567"),
        ("\u202a+39 333 1234567\u202c", "+393331234567"),
        ("\uff0b\uff13\uff19 333 1234567", "+393331234567"),
        ("0522/123456", "+390522123456"),
        ("+393331234567;ext=5", "+393331234567"),
    ],
)
def test_phone_spellings_become_e164(text: str, exact: str) -> None:
    assert parse_address(text, Channel.PHONE, region="IT").exact == exact


def test_without_a_region_a_number_needs_its_country_code() -> None:
    assert parse_address("+390522123456", Channel.PHONE).exact == "+390522123456"
    with pytest.raises(InvalidAddress, match="international form"):
        parse_address("0522/123456", Channel.PHONE)


@pytest.mark.parametrize(
    "text",
    ["12", "48383", "call 333 1234567", "333 1234567 o 333 7654321", "1-800-FLOWERS", "+" * 999],
)
def test_what_is_not_one_phone_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_address(text, Channel.SMS)


def test_a_national_number_is_read_in_the_region_given() -> None:
    assert parse_address("020 7946 0018", Channel.SMS, region="GB").exact == "+442079460018"
    with pytest.raises(InvalidAddress):
        parse_address("020 7946 0018", Channel.SMS, region="nowhere")


@pytest.mark.parametrize(
    "text, channel, shown",
    [
        ("jane@domain.it", Channel.EMAIL, "j***@d***.it"),
        ("jane@b\u00fccher.example", Channel.EMAIL, "j***@b***.example"),
        (
            "jane@\u4f8b\u3048.\u30c6\u30b9\u30c8",
            Channel.EMAIL,
            "j***@\u4f8b***.\u30c6\u30b9\u30c8",
        ),
        ('"jane doe"@mail.firma.it', Channel.EMAIL, "j***@m***.it"),
        ("jane@[192.0.2.1]", Channel.EMAIL, "j***@[***]"),
        ("+39 333 1234567", Channel.SMS, "+39 *** **67"),
    ],
)
def test_masks_and_reprs_do_not_show_the_address(text: str, channel: Channel, shown: str) -> None:
    # I12: a repr ends up in logs and tracebacks.
    address = parse_address(text, channel)
    assert mask_address(address) == shown
    assert repr(address) == f"<Address {channel.value} {shown}>"


def test_a_phone_number_of_more_characters_than_any_is_written_in_is_refused() -> None:
    assert parse_address("+39" + " " * 80 + "02 1234567", Channel.PHONE).exact == "+39021234567"
    with pytest.raises(InvalidAddress):
        parse_address("+39" + " " * 100 + "02 1234567", Channel.PHONE)
