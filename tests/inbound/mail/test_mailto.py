"""Whose token a mail was sent to, and who may have written it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links import Links
from preference_center.core.links.tokens import Link
from preference_center.core.mime import MAIL_HEAD_BYTES
from preference_center.inbound.mail import parse_inbound_mail, parse_mail_token
from tests.inbound.mail.mails import DOMAIN, apple, outlook
from tests.shared import shared_path

LINKS = Links([("k1", bytes(32))], "https://preferences.example.com", DOMAIN)
DIGEST = sha256(b"jane").digest()


def token(scope: str = "news") -> str:
    link = Link(parse_address("jane.doe@example.com", Channel.EMAIL), scope, "", datetime.now(UTC))
    return LINKS.create_mailto_token(link, DIGEST)


TO = f"{token()}@{DOMAIN}"


@pytest.mark.parametrize(
    "recipient",
    [TO, f"<{TO}>", f" {TO} ", TO.upper(), f'"{token()}"@{DOMAIN}', f"{token()}@elsewhere.example"],
)
def test_the_local_part_decides_in_whatever_spelling(recipient: str) -> None:  # RULES A11
    reference = parse_mail_token(LINKS, recipient)
    assert reference is not None
    assert reference.digest_prefix == DIGEST[:16]


@pytest.mark.parametrize(
    "recipient",
    ["", "@", token(), f"unsubscribe@{DOMAIN}", f"x{TO}", f"é{TO}", f"{TO[:63]}@x", "<>"],
)
def test_any_other_recipient_is_none_of_ours(recipient: str) -> None:  # RULES A12
    assert parse_mail_token(LINKS, recipient) is None


def test_the_envelope_alone_counts_where_it_is_known() -> None:
    # RULES A12: a vacation reply to a bounce address, quoting the address of our header
    assert parse_inbound_mail(LINKS, outlook(TO), [f"bounce-17@{DOMAIN}"]).references == ()
    assert len(parse_inbound_mail(LINKS, outlook("nobody@example.com"), [TO]).references) == 1


@pytest.mark.parametrize("field", ["To", "to", "Delivered-To", "X-Original-To", "Envelope-To"])
@pytest.mark.parametrize("line", [b"\r\n", b"\n"])
def test_header_fields_count_where_no_envelope_is_known(field: str, line: bytes) -> None:
    mail = line.join([b"From: jane@example.com", f"{field}: {TO}".encode(), b"", b"Hi", b""])
    assert len(parse_inbound_mail(LINKS, mail, None).references) == 1


@pytest.mark.parametrize("field", ["Cc", "From", "Reply-To", "Subject", "References", "X-To"])
def test_other_fields_and_the_body_do_not(field: str) -> None:
    mail = f"{field}: {TO}\r\nTo: bounces@example.com\r\n\r\nTo: {TO}\r\n".encode()
    assert parse_inbound_mail(LINKS, mail, None).references == ()


@pytest.mark.parametrize(
    "value",
    [
        f"undisclosed:; <{TO}>",
        f'"Broken <{TO}>, x@y@z',
        f"=?utf-8?q?N=C3=A9?= <{TO}>",
        f"Né <{TO}>",
        f"\r\n {TO}",
        f"x@example.com,\r\n\t{TO}, {TO}",
        f"<mailto:{TO}>",
    ],
)
def test_broken_fields_still_hold_their_token_once(value: str) -> None:
    for mail in (f"To: {value}\r\n\r\n".encode(), f"To: {value}\r\n\r\n".encode("latin-1")):
        assert len(parse_inbound_mail(LINKS, mail, None).references) == 1


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"\r\n\r\n",
        b"no header at all",
        b"\xff\xfe\x00\x00",
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\nContent-Type: \xff",
        b"From jane@example.com Tue Nov 24 09:00:00 2026\nFrom: (((\nTo: <<<>>>,,;:\n\n",
    ],
)
def test_broken_mails_opt_out_whom_the_envelope_names_and_nobody_else(mail: bytes) -> None:
    assert parse_inbound_mail(LINKS, mail, None).references == ()
    assert len(parse_inbound_mail(LINKS, mail, [TO]).references) == 1


def test_several_recipients_are_taken_once_each() -> None:
    other = f"{token('offers')}@{DOMAIN}"
    mail = parse_inbound_mail(LINKS, b"", [TO, other, TO.upper(), "someone@example.com"])
    assert len(mail.references) == 2


def test_writers_are_the_senders_of_header_and_envelope() -> None:
    mail = b"From: Jane <Jane@Example.com>, not an address\r\nReply-To: j@example.com\r\n\r\n"
    writers = parse_inbound_mail(LINKS, mail, [TO], sender="envelope@example.com").claimed_senders
    assert {writer.exact for writer in writers} == {
        "jane@example.com", "j@example.com", "envelope@example.com",
    }  # fmt: skip
    assert parse_inbound_mail(LINKS, b"", [TO], sender="<>").claimed_senders == ()


def test_only_the_beginning_of_a_mail_is_looked_at() -> None:
    late = b"X: " + b"x" * MAIL_HEAD_BYTES + f"\r\nTo: {TO}\r\n\r\n".encode()
    assert parse_inbound_mail(LINKS, late, None).references == ()


@pytest.mark.parametrize("mail", [outlook(TO), apple(TO)])
def test_what_clients_send_is_read_from_the_header_alone(mail: bytes) -> None:  # CLIENTS
    read = parse_inbound_mail(LINKS, mail, None)
    assert len(read.references) == 1
    assert [writer.exact for writer in read.claimed_senders] == ["jane.doe@example.com"]


def test_real_bounces_reports_and_vacation_replies_opt_nobody_out() -> None:  # RULES A12
    index = shared_path("corpus/mail/index.json")
    names = [entry["file"] for entry in json.loads(index.read_text())["files"]]
    assert names
    for name in names:
        assert (
            parse_inbound_mail(LINKS, (index.parent / name).read_bytes(), None).references == ()
        ), name


def test_the_return_path_that_a_mail_server_wrote_is_a_writer_too() -> None:  # I12
    """So that no pipe needs to name the sender on a command line."""
    mail = b"Return-Path: <envelope@example.com>\r\nFrom: jane@example.com\r\n\r\n"
    assert (
        parse_address("envelope@example.com", Channel.EMAIL)
        in parse_inbound_mail(LINKS, mail, [TO]).claimed_senders
    )
