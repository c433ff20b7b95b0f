"""Links: forged, altered and old ones, the ring, and the headers of RFC 8058."""

from __future__ import annotations

import random
import re
from base64 import b32decode, b32encode
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from hashlib import sha256
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import ConfigError, InvalidInput, InvalidLink
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links import FormPurpose, Links, list_unsubscribe_headers
from preference_center.core.links.tokens import Link

OLD, NEW, FOREIGN = ("k1", b"1" * 32), ("k2", b"2" * 32), ("k2", b"3" * 32)
ISSUED = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
UUID_ID = "0198f1de-7c1a-7000-8000-0000000000ab"
DIGEST = sha256(b"jane").digest()
ADDRESS = parse_address("jane.doe@example.com", Channel.EMAIL)
LINK = Link(ADDRESS, "news", UUID_ID, ISSUED)
URLSAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


def make_links(*ring: tuple[str, bytes], mail_domain: str | None = None) -> Links:
    return Links(ring or (NEW, OLD), "https://prefs.example.com/", mail_domain)


LINKS = make_links(mail_domain="stop.example.com")
TOKEN = LINKS.create_token(LINK)


def refused(links: Links, token: str) -> str:
    with pytest.raises(InvalidLink) as caught:
        links.read_token(token, ISSUED)
    return str(caught.value)


message_ids = st.one_of(
    st.uuids().map(str),
    st.text(max_size=64).filter(str.isprintable),
    st.uuids().map(lambda uuid: str(uuid).upper()),
)
links_made = st.builds(
    Link,
    st.one_of(
        st.from_regex(r"[a-z]{1,20}(\+[a-z]{1,5})?@[a-z]{1,20}\.com", fullmatch=True).map(
            lambda raw: parse_address(raw, Channel.EMAIL)
        ),
        st.sampled_from(["søren@exämple.dk", '"a b"@example.com', "j.d@gmail.com"]).map(
            lambda raw: parse_address(raw, Channel.EMAIL)
        ),
        st.sampled_from([Channel.SMS, Channel.PHONE]).map(
            lambda on: parse_address("+393331234567", on)
        ),
    ),
    st.one_of(st.just(ALL_MARKETING), st.from_regex(r"[a-z][a-z0-9._-]{0,60}", fullmatch=True)),
    message_ids,
    st.integers(0, 2**32 - 1).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.just("k2"),
)


@given(links_made)
def test_a_link_reads_back_as_it_was_made(link: Link) -> None:
    assert LINKS.read_token(LINKS.create_token(link), ISSUED) == link


def test_the_time_of_issue_is_kept_to_the_second() -> None:
    late = Link(ADDRESS, "news", "", ISSUED + timedelta(milliseconds=900))
    assert LINKS.read_token(LINKS.create_token(late), ISSUED).issued_at == ISSUED


def test_nothing_of_the_person_or_the_topic_can_be_read_in_the_token() -> None:  # I12
    raw = b"".join(part.encode() for part in TOKEN.split("."))
    for secret in (b"jane", b"example", b"news"):
        assert secret not in raw.lower()
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", TOKEN)


def test_a_link_of_last_century_still_reads() -> None:  # A8: never expires
    old = Link(ADDRESS, "news", UUID_ID, datetime(1999, 12, 31, tzinfo=UTC))
    assert LINKS.read_token(LINKS.create_token(old), ISSUED).issued_at.year == 1999


@pytest.mark.parametrize("scope", ["t" * 50, "news", ALL_MARKETING])
def test_a_token_for_a_40_character_address_has_at_most_200_characters(scope: str) -> None:
    address = parse_address("a" * 28 + "@example.com", Channel.EMAIL)
    assert len(address.exact) == 40
    links = make_links(("2026", b"1" * 32))
    assert len(links.create_token(Link(address, scope, UUID_ID, ISSUED))) <= 200


def test_a_text_message_id_shares_the_space_with_the_topic() -> None:
    address = parse_address("a" * 28 + "@example.com", Channel.EMAIL)
    links = make_links(("2026", b"1" * 32))
    assert len(links.create_token(Link(address, "t" * 20, "m" * 46, ISSUED))) <= 200


@pytest.mark.parametrize("message_id", ["m" * 65, "line\nbreak", "nul\x00"])
def test_a_message_id_that_is_too_long_or_unprintable_is_refused(message_id: str) -> None:
    with pytest.raises(InvalidInput, match="64 printable characters"):
        LINKS.create_token(Link(ADDRESS, "news", message_id, ISSUED))


def test_every_flipped_bit_is_refused() -> None:  # A7
    data = TOKEN.encode()
    for at in range(len(data)):
        for bit in range(8):
            flipped = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            refused(LINKS, flipped.decode("latin-1"))


def test_every_other_character_in_every_place_is_refused() -> None:  # A7: also base64's spare bits
    for at in range(len(TOKEN)):
        for other in URLSAFE.replace(TOKEN[at], ""):
            refused(LINKS, TOKEN[:at] + other + TOKEN[at + 1 :])


def test_every_truncation_is_refused() -> None:
    for size in range(len(TOKEN)):
        refused(LINKS, TOKEN[:size])
        refused(LINKS, TOKEN[size + 1 :])


@pytest.mark.parametrize("stuffing", ["=", "==", ".", "A", " ", "\n", "\x00", "%00", "/", "é", "+"])
def test_stuffed_tokens_are_refused(stuffing: str) -> None:
    for at in range(len(TOKEN) + 1):
        refused(LINKS, TOKEN[:at] + stuffing + TOKEN[at:])


@pytest.mark.parametrize(
    "junk", ["", ".", "..", "k2", "k2.", "k2..", "*|TOKEN|*", "{{token}}", "\udcff", "x" * 10_000]
)
def test_what_never_was_a_token_is_refused(junk: str) -> None:
    refused(LINKS, junk)


def test_every_fault_gets_the_same_message_without_the_token() -> None:  # A7, I12
    faults = {
        refused(LINKS, token)
        for token in (
            "",
            TOKEN[:-1],
            TOKEN + "=",
            "k9" + TOKEN[2:],
            make_links(FOREIGN).create_token(LINK),
        )
    }
    assert faults == {"this link is not one of ours, or was altered"}


def test_a_foreign_key_with_a_known_id_is_refused() -> None:
    refused(LINKS, make_links(FOREIGN).create_token(LINK))


def test_a_token_is_bound_to_the_id_of_its_key() -> None:
    twins = make_links(("k1", b"1" * 32), ("k2", b"1" * 32))
    refused(twins, "k2" + twins.create_token(LINK)[2:])


def test_parts_of_two_genuine_tokens_do_not_make_a_third() -> None:
    other = LINKS.create_token(
        Link(parse_address("eve@example.com", Channel.EMAIL), "news", UUID_ID, ISSUED)
    )
    (kid, sealed, _), (_, _, signature) = TOKEN.split("."), other.split(".")
    refused(LINKS, f"{kid}.{sealed}.{signature}")


def test_none_of_100_000_random_mutations_is_accepted() -> None:
    rng = random.Random(20261101)
    alphabet = URLSAFE + "=+/ \n\x00é"
    accepted = 0
    for _ in range(100_000):
        mutant = list(TOKEN)
        for _ in range(rng.choice((1, 1, 2, 5))):
            at = rng.randrange(len(mutant))
            how = rng.randrange(3)
            mutant[at : at + (how != 1)] = [] if how == 0 else [rng.choice(alphabet)]
        text = "".join(mutant)
        if text == TOKEN:
            continue
        try:
            LINKS.read_token(text, ISSUED)
        except InvalidLink:
            continue
        accepted += 1
    assert accepted == 0


def test_the_first_key_signs_and_older_ones_still_read() -> None:  # B11
    before = make_links(OLD)
    after = make_links(NEW, OLD)
    assert after.read_token(before.create_token(LINK), ISSUED).key_id == "k1"
    assert after.create_token(LINK).startswith("k2.")
    refused(make_links(NEW), before.create_token(LINK))


@pytest.mark.parametrize(
    "ring",
    [[], [("k1", b"short")], [OLD, ("k1", b"4" * 32)], [("a.b", b"1" * 32)], [("", b"1" * 32)]],
)
def test_a_ring_that_cannot_work_stops_the_start(ring: list[tuple[str, bytes]]) -> None:
    with pytest.raises(ConfigError, match="LINK_KEYS"):
        Links(ring, "https://prefs.example.com")


def test_plain_http_is_for_the_own_machine_only() -> None:  # A1
    assert Links([OLD], "http://localhost:8000").unsubscribe_url("t") == "http://localhost:8000/u/t"
    with pytest.raises(ConfigError, match="https"):
        Links([OLD], "http://prefs.example.com")


def test_no_key_shows_in_the_repr() -> None:
    assert "1111" not in repr(make_links(OLD))


class TestForms:
    NOW = datetime(2026, 11, 2, 9, 0, 0, 250_000, tzinfo=UTC)
    DATA: ClassVar = {"events": ["0198f1de"], "on": [ALL_MARKETING]}

    def test_bring_back_their_time_and_data(self) -> None:
        text = LINKS.seal_form(FormPurpose.UNDO, self.DATA, self.NOW)
        later = self.NOW + timedelta(days=400)
        assert LINKS.open_form(FormPurpose.UNDO, text, None, later) == (self.NOW, self.DATA)

    def test_end_with_their_age(self) -> None:
        text = LINKS.seal_form(FormPurpose.UNDO, self.DATA, self.NOW)
        half_hour = timedelta(minutes=30)
        assert LINKS.open_form(FormPurpose.UNDO, text, half_hour, self.NOW + half_hour)
        with pytest.raises(InvalidLink):
            LINKS.open_form(
                FormPurpose.UNDO, text, half_hour, self.NOW + half_hour + timedelta(microseconds=1)
            )

    def test_of_a_host_whose_clock_is_ahead_count_as_signed_now(self) -> None:
        text = LINKS.seal_form(
            FormPurpose.UNDO, self.DATA, self.NOW
        )  # I5: a lift may not lie in the future
        earlier = self.NOW - timedelta(seconds=1)
        assert LINKS.open_form(FormPurpose.UNDO, text, None, earlier) == (earlier, self.DATA)

    def test_are_no_links_and_links_no_forms(self) -> None:
        with pytest.raises(InvalidLink):
            LINKS.open_form(FormPurpose.UNDO, TOKEN, None, self.NOW)
        refused(LINKS, LINKS.seal_form(FormPurpose.UNDO, self.DATA, self.NOW))

    def test_altered_are_refused(self) -> None:
        text = LINKS.seal_form(FormPurpose.UNDO, self.DATA, self.NOW)
        for at in range(len(text)):
            with pytest.raises(InvalidLink):
                LINKS.open_form(FormPurpose.UNDO, text[:at] + "~" + text[at + 1 :], None, self.NOW)


class TestHeaders:
    HEADERS = list_unsubscribe_headers(LINKS, LINK, DIGEST)

    def test_have_the_exact_post_value(self) -> None:  # A1
        assert self.HEADERS["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert set(self.HEADERS) == {"List-Unsubscribe", "List-Unsubscribe-Post"}

    def test_name_one_https_uri_first_and_then_the_mailbox(self) -> None:  # A1, A10
        first, second = self.HEADERS["List-Unsubscribe"].split(", ")
        assert first == f"<https://prefs.example.com/u/{TOKEN}>"
        assert re.fullmatch(
            r"<mailto:[a-z2-7]{64}@stop\.example\.com\?subject=unsubscribe>", second
        )

    def test_have_no_mailbox_without_a_receiver(self) -> None:
        headers = list_unsubscribe_headers(make_links(), LINK, DIGEST)
        assert headers["List-Unsubscribe"].count("<") == 1
        assert "mailto" not in headers["List-Unsubscribe"]

    def test_have_no_character_in_a_uri_that_clients_trip_over(self) -> None:  # A14
        uris = re.findall(r"<([^>]*)>", self.HEADERS["List-Unsubscribe"])
        assert len(uris) == 2
        for uri in uris:
            assert uri.isascii()
            assert not re.search(r"[,\s<>]", uri)

    def test_survive_clients_that_strip_white_space_or_split_on_commas(self) -> None:  # A14
        squeezed = re.sub(r"\s", "", self.HEADERS["List-Unsubscribe"])
        assert re.findall(r"<(https[^>]*)>", squeezed) == [f"https://prefs.example.com/u/{TOKEN}"]
        assert len(self.HEADERS["List-Unsubscribe"].split(",")) == 2

    @pytest.mark.parametrize("rules", [policy.SMTP, policy.compat32, policy.default])
    def test_survive_a_mail_message(self, rules: policy.Policy[Any]) -> None:
        message = EmailMessage(policy.SMTP.clone(max_line_length=998))
        for name, value in self.HEADERS.items():
            message[name] = value
        message.set_content("Hello")
        back = message_from_bytes(message.as_bytes(), policy=rules)
        for name, value in self.HEADERS.items():
            assert " ".join(str(back[name]).split()) == value


class TestMailTokens:
    TOKEN = LINKS.create_mailto_token(LINK, DIGEST)

    def test_fit_a_local_part(self) -> None:  # RFC 5321 4.5.3.1.1
        assert len(self.TOKEN) == 64

    @pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
    def test_read_in_any_case(self, spell: Callable[[str], str]) -> None:
        reference = LINKS.read_mailto_token(spell(self.TOKEN))
        assert reference.digest_prefix == DIGEST[:16]
        assert reference.issued_on == date(2026, 11, 1)
        assert reference.key_id == "k2"

    def test_name_their_scope_among_those_known(self) -> None:
        reference = LINKS.read_mailto_token(self.TOKEN)
        assert reference.match_scope(["offers", "news", ALL_MARKETING]) == "news"
        assert reference.match_scope(["offers", ALL_MARKETING]) is None

    def test_of_older_keys_still_read(self) -> None:
        before = make_links(OLD, mail_domain="stop.example.com").create_mailto_token(LINK, DIGEST)
        assert LINKS.read_mailto_token(before).key_id == "k1"

    def test_with_any_flipped_bit_are_refused(self) -> None:
        raw = b32decode(self.TOKEN.upper())
        for bit in range(len(raw) * 8):
            flipped = bytearray(raw)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(InvalidLink):
                LINKS.read_mailto_token(b32encode(flipped).decode().lower())

    @pytest.mark.parametrize(
        "junk", ["", "a", TOKEN[:-8], TOKEN + "aaaaaaaa", TOKEN[:-1] + "=", "ſ" + TOKEN, "é" * 64]
    )
    def test_altered_are_refused(self, junk: str) -> None:
        with pytest.raises(InvalidLink):
            LINKS.read_mailto_token(junk)
