"""Links that a sender makes by itself: what they say, and what its key can't do."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b32decode, b32encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from shutil import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidLink
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links import FormPurpose, Links, offline
from preference_center.core.links.offline import SENDER_TOKEN_PREFIX, LinkMinter, base64url_encode
from preference_center.core.links.tokens import Link, LinkTopic, SenderKey, TokenPurpose, pack_link
from tests.core.links.registry import FakeRegistry

RING = [("k2", b"2" * 32), ("k1", b"1" * 32)]
NOW = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
UUID_ID = "0198f1de-7c1a-7000-8000-0000000000ab"
KEY = SenderKey(7, "shop", "k1", ("news", ALL_MARKETING, "alerts"), NOW)
OTHER = replace(KEY, id=8, name="blog", topics=("news",))
TOPICS = [
    LinkTopic("news", Channel.EMAIL, "https://acme.example.com"),
    LinkTopic(ALL_MARKETING, Channel.EMAIL, "https://prefs.example.com"),
    LinkTopic("alerts", Channel.SMS, "https://prefs.example.com"),
]
REGISTRY = FakeRegistry({7: KEY, 8: OTHER})
LINKS = Links(RING, "https://prefs.example.com", "stop.example.com", REGISTRY)
TEXT = LINKS.export_sender_key(KEY, TOPICS)
MINTER = LinkMinter(TEXT, NOW.timestamp)
TOKEN = MINTER.unsubscribe_url("ada@example.com", "news", UUID_ID).rpartition("/")[2]


def token_of(url: str) -> str:
    return url.rpartition("/")[2]


def refused(token: str, links: Links = LINKS) -> None:
    with pytest.raises(InvalidLink, match="not one of ours"):
        links.read_token(token, NOW)


def test_the_service_reads_what_a_sender_made() -> None:
    link = LINKS.read_token(TOKEN, NOW)
    assert link == Link(parse_address("ada@example.com", Channel.EMAIL), "news", UUID_ID, NOW, "~7")
    minted = MINTER.mint("+393331234567", "alerts", "m-1")
    link = LINKS.read_token(token_of(minted.preferences_url), NOW)
    assert (link.address.channel, link.address.exact) == (Channel.SMS, "+393331234567")
    assert (link.scope, link.message_id) == ("alerts", "m-1")


def test_links_lead_to_the_host_of_the_topics_brand() -> None:
    minted = MINTER.mint("ada@example.com", "news", UUID_ID)
    assert minted.unsubscribe_url == f"https://acme.example.com/u/{TOKEN}"
    assert minted.preferences_url == f"https://acme.example.com/p/{TOKEN}"
    url = MINTER.preferences_url("ada@example.com", ALL_MARKETING)
    assert url.startswith("https://prefs.example.com/p/~7.")


def test_the_headers_are_the_pair_of_rfc_8058() -> None:  # A1, A10
    headers = MINTER.headers("ada@example.com", "news", UUID_ID)
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.fullmatch(
        rf"<https://acme\.example\.com/u/{re.escape(TOKEN)}>,"
        r" <mailto:[a-z2-7]{64}@stop\.example\.com\?subject=unsubscribe>",
        headers["List-Unsubscribe"],
    )


def test_the_same_link_is_the_same_token_and_has_no_readable_content() -> None:  # I12
    assert token_of(MINTER.unsubscribe_url("Ada@Example.com ", "news", UUID_ID)) == TOKEN
    for part in ("ada", "example", "news"):
        assert part not in TOKEN.lower()
    assert len(TOKEN) < 120


@given(st.emails(), st.one_of(st.uuids().map(str), st.text(max_size=16).filter(str.isprintable)))
def test_any_address_is_recovered_as_the_service_would_read_it(address: str, about: str) -> None:
    try:
        expected = parse_address(address, Channel.EMAIL)
        token = token_of(MINTER.unsubscribe_url(address, "news", about))
    except ValueError:  # neither takes it, or the file is more careful
        return
    link = LINKS.read_token(token, NOW)
    assert (link.address, link.message_id) == (expected, about)


@settings(max_examples=25)  # making such a text takes long
@given(
    st.from_regex(offline._CANONICAL_EMAIL, fullmatch=True).filter(lambda text: len(text) <= 254)
)
def test_what_it_takes_for_canonical_is_canonical(address: str) -> None:  # else no mailto entry
    if len(address.partition("@")[2]) <= offline._MAX_LABEL_LENGTH:
        assert parse_address(address.upper(), Channel.EMAIL).exact == address


@pytest.mark.parametrize("address", ["søren@exämple.dk", "jane@xn--exmple-cua.com"])
def test_addresses_it_cant_canonicalise_get_no_mailbox_but_a_link(address: str) -> None:
    minted = MINTER.mint(address, "news")
    assert "mailto" not in minted.headers["List-Unsubscribe"]
    expected = parse_address(address, Channel.EMAIL)
    assert LINKS.read_token(token_of(minted.unsubscribe_url), NOW).address == expected


@pytest.mark.parametrize(
    "address, topic, message_id, message",
    [
        ("ada@example.com", "offers", "", "news, all_marketing, alerts"),
        ("not an address", "news", "", "one bare email address"),
        ("Ada <ada@example.com>", "news", "", "one bare email address"),
        ("a@b.it, c@d.it", "news", "", "one bare email address"),
        ("a" * 250 + "@example.com", "news", "", "one bare email address"),
        ("333 1234567", "alerts", "", "international form"),
        ("ada@example.com", "news", "x" * 65, "64 printable"),
        ("ada@example.com", "news", "a\nb", "64 printable"),
    ],
)
def test_what_it_cant_carry_is_refused_without_a_word_of_the_address(
    address: str, topic: str, message_id: str, message: str
) -> None:  # I12
    with pytest.raises(ValueError, match=message) as caught:
        MINTER.mint(address, topic, message_id)
    assert "@" not in str(caught.value).replace("name@example.com", "")


@pytest.mark.parametrize(
    "text", ["", "pc_shop_x", TEXT[:-40], TEXT.replace("pcl1", "pcl2"), "pcl1.7.AAAA.e30"]
)
def test_a_text_that_is_no_key_is_refused_and_never_shown(text: str) -> None:
    with pytest.raises(ValueError, match="not a link key") as caught:
        LinkMinter(text)
    assert TEXT[10:30] not in str(caught.value)
    assert TEXT.split(".")[2] not in repr(MINTER)


class TestAKeyCannot:
    """What a thief may try who has the whole key (`secrets`) and knows the code."""

    SECRETS = MINTER._secrets

    def forged(self, payload: bytes, key_id: str = "~7") -> str:
        return f"{key_id}.{base64url_encode(self.SECRETS.link_cipher.encrypt(payload, None))}"

    def test_make_links_for_a_topic_that_it_was_not_issued_for(self) -> None:
        head = offline.LINK_HEADER.pack(0, 3, 0, 15)
        refused(self.forged(head + b"ada@example.com"))
        refused(self.forged(offline.LINK_HEADER.pack(0, 1, 0, 15) + b"ada@example.com", "~8"))

    @pytest.mark.parametrize(
        "use",
        [
            TokenPurpose.PAGE_VISIT,
            TokenPurpose.EMAILED_LINK,
            TokenPurpose.PORTAL,
            TokenPurpose.PERMANENT,
            TokenPurpose.PROBE,
        ],
    )
    def test_make_a_pass(self, use: TokenPurpose) -> None:
        passing = pack_link(
            Link(parse_address("ada@example.com", Channel.EMAIL), "news", UUID_ID, NOW), use
        )
        token = self.forged(passing)
        refused(token)
        for purpose in (TokenPurpose.EMAILED_LINK, TokenPurpose.PORTAL):
            with pytest.raises(InvalidLink):
                LINKS.read_one_time_token(token, purpose, NOW)
        for form in FormPurpose:
            with pytest.raises(InvalidLink):
                LINKS.open_form(form, token, None, NOW)

    @pytest.mark.parametrize("name", ["k1", "k2"])
    def test_sign_as_the_service(self, name: str) -> None:
        sealed = self.forged(
            pack_link(Link(parse_address("a@b.it", Channel.EMAIL), "news", "", NOW)), name
        )
        refused(sealed)
        refused(f"{sealed}.{'A' * 22}")

    def test_speak_for_another_sender(self) -> None:
        refused(TOKEN.replace("~7.", "~8."))

    @pytest.mark.parametrize("flags", [0x03, 0x0F, 0x20, 0x80])
    def test_use_what_is_not_there_yet(self, flags: int) -> None:
        refused(self.forged(offline.LINK_HEADER.pack(flags, 0, 0, 15) + b"ada@example.com"))

    @pytest.mark.parametrize("address", [b"", b"junk", b"\xff\xfe@b.it", b"a@-", b"<b>@x y"])
    def test_bring_in_what_is_no_address(self, address: bytes) -> None:
        refused(self.forged(offline.LINK_HEADER.pack(0, 0, 0, len(address)) + address))
        refused(self.forged(offline.LINK_HEADER.pack(1, 0, 0, len(address)) + address))

    @pytest.mark.parametrize("message", [b"\0", b"m\n1", b"\x1b[2J"])
    def test_bring_in_a_message_id_that_the_database_cant_hold(self, message: bytes) -> None:
        refused(self.forged(offline.LINK_HEADER.pack(0, 0, 0, 15) + b"ada@example.com" + message))


@pytest.mark.parametrize(
    "junk",
    ["~", "~7", "~7.", "~9.AAAA", "~07" + TOKEN[2:], "~٧" + TOKEN[2:], "~70000.AAAA", "~-1.A",
     "~7.é", TOKEN[:-1], TOKEN + "A", TOKEN + "=", TOKEN + ".A", "%7E" + TOKEN[1:]],
)  # fmt: skip
def test_what_no_sender_made_is_refused(junk: str) -> None:
    refused(junk)


def test_every_other_character_in_every_place_is_refused() -> None:  # A7
    for at in range(len(TOKEN)):
        for other in "Az09-_.~":
            if other != TOKEN[at]:
                refused(TOKEN[:at] + other + TOKEN[at + 1 :])


def test_a_revoked_key_opts_out_for_ever_and_is_read_as_revoked() -> None:  # I7
    gone = FakeRegistry({7: replace(KEY, revoked_at=NOW)})
    links = Links(RING, "https://prefs.example.com", "stop.example.com", gone)
    assert links.read_token(TOKEN, NOW + timedelta(days=9000)).revoked
    mailbox = MINTER.headers("ada@example.com", "news")["List-Unsubscribe"].split("mailto:")[1]
    assert links.read_mailto_token(mailbox.partition("@")[0]).key_id == "~7"


def test_a_sender_key_lives_as_long_as_the_key_it_comes_from() -> None:
    later = Links([("k3", b"3" * 32), *RING], "https://prefs.example.com", registry=REGISTRY)
    assert later.read_token(TOKEN, NOW).scope == "news"
    refused(TOKEN, Links(RING[:1], "https://prefs.example.com", registry=REGISTRY))


def test_without_a_registry_no_sender_has_a_key() -> None:
    refused(TOKEN, Links(RING, "https://prefs.example.com"))


class TestMailTokens:
    TOKEN = MINTER.headers("Ada@example.com", "news")["List-Unsubscribe"][-110:].split(":")[1][:64]

    @pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
    def test_name_the_address_by_its_stored_digest_and_the_topic(self, spell: str) -> None:
        reference = LINKS.read_mailto_token(spell(self.TOKEN))  # type: ignore[operator]
        digest = sha256(b"ada@example.com").digest()
        assert reference.digest_prefix == REGISTRY.exact_digest(digest)[:16]
        assert reference.match_scope(["offers", ALL_MARKETING, "news"]) == "news"
        assert (reference.issued_on, reference.key_id) == (None, "~7")

    def test_hide_the_digest(self) -> None:  # I12: a plain hash of an address can be guessed
        raw = b32decode(self.TOKEN.upper())
        assert sha256(b"ada@example.com").digest()[:4] not in raw

    def test_with_any_flipped_bit_are_refused(self) -> None:
        raw = b32decode(self.TOKEN.upper())
        for bit in range(len(raw) * 8):
            flipped = bytearray(raw)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(InvalidLink):
                LINKS.read_mailto_token(b32encode(flipped).decode().lower())

    @pytest.mark.parametrize("junk", [TOKEN[:-8], TOKEN[:8], TOKEN + "aaaaaaaa", "a" * 64])
    def test_altered_are_refused(self, junk: str) -> None:
        with pytest.raises(InvalidLink):
            LINKS.read_mailto_token(junk)

    def test_need_a_mail_domain(self) -> None:
        links = Links(RING, "https://prefs.example.com", registry=REGISTRY)
        minter = LinkMinter(links.export_sender_key(KEY, TOPICS))
        assert "mailto" not in minter.headers("ada@example.com", "news")["List-Unsubscribe"]


def test_the_file_works_alone(tmp_path: Path) -> None:
    copy(offline.__file__, tmp_path / "preference_center_links.py")
    program = (
        "import sys; sys.path.insert(0, '.')\n"
        "from preference_center_links import LinkMinter\n"
        "print(LinkMinter(sys.argv[1]).unsubscribe_url('ada@example.com', 'news'))\n"
        "assert not [m for m in sys.modules if m.startswith(('preference_center.', 'flask'))]\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, TEXT],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert LINKS.read_token(token_of(done.stdout.strip()), NOW).address.exact == "ada@example.com"
    assert TOKEN.startswith(SENDER_TOKEN_PREFIX)
