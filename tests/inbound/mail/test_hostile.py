"""No mail holds up those behind it, and none is lost because it could not be read."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from preference_center.core.errors import Unavailable
from tests.inbound.mail.fixtures import REPLIES, REPORTS, Take
from tests.inbound.mail.mails import outlook, receiving
from tests.inbound.rules.reports import arf, dsn, failed, reply
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask

JANE = "jane.doe@example.com"
OUT = ("opted_out", "acme.offers")
DEEP = {
    "comments": "(" * 1500 + ")" * 1500 + f" {JANE}",
    "comments that never end": "(" * 1500 + JANE,
    "groups": "a:" * 3000 + f"{JANE};",
    "quotes": '"' * 3001,
    "backslashes": "\\" * 3001,
    "brackets": "<" * 3000,
    "routes": "@" * 3000,
    "false base64": f"=?utf-8?b?abcde?= <{JANE}>",
    "a charset of nobody": f"=?quux?q?Jane?= <{JANE}>",
    "encoded words": "=?utf-8?q?a?=" * 3000,
}

pytestmark = pytest.mark.usefixtures("mailboxes")


def hostile(field: str, to: str) -> bytes:
    return (
        f"From: {field}\r\nSender: {field}\r\nReply-To: {field}\r\nTo: {to}\r\n"
        f"Subject: {field}\r\n\r\nstop\r\n"
    ).encode()


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize("field", DEEP.values(), ids=DEEP)
def test_deep_fields_hold_up_no_maildir(
    app: Flask, to: str, ledger: Ledger, maildir: Path, field: str
) -> None:
    (maildir / "new/1").write_bytes(hostile(field, REPLIES))
    (maildir / "new/2").write_bytes(hostile(field, REPORTS))
    (maildir / "new/3").write_bytes(outlook(to))
    result = app.test_cli_runner().invoke(args=["inbound", "maildir", str(maildir)])
    assert (result.exit_code, list((maildir / "new").iterdir())) == (0, [])
    assert OUT in ledger.kinds()


@pytest.mark.parametrize("field", DEEP.values(), ids=DEEP)
def test_deep_fields_are_no_reason_to_refuse_an_opt_out(
    take: Take, to: str, ledger: Ledger, field: str
) -> None:
    take(hostile(field, to), to)
    assert ledger.kinds() in ([OUT], [])  # kept until its address is known, if nobody named it


def test_lmtp_takes_them(app: Flask, to: str, review_reasons: Callable[[], list[str]]) -> None:
    with receiving(app, "lmtp") as port, smtplib.LMTP("127.0.0.1", port) as client:
        for field in DEEP.values():
            assert client.sendmail(JANE, [REPLIES], hostile(field, REPLIES)) == {}
            assert client.sendmail(JANE, [to], hostile(field, to)) == {}
    assert set(review_reasons()) <= {"unclear", "unreadable"}


def fail(*_: object, **_named: object) -> None:
    raise RuntimeError


class TestWhateverFails:
    """A fault of ours in one mail is for a person, and comes again with no other."""

    @pytest.mark.parametrize("function", ["attribute", "find_tokens", "record", "scopes_of_tag"])
    def test_at_an_address_set_aside(
        self,
        app: Flask,
        maildir: Path,
        review_reasons: Callable[[], list[str]],
        monkeypatch: pytest.MonkeyPatch,
        function: str,
    ) -> None:
        monkeypatch.setattr(f"preference_center.inbound.mailboxes.{function}", fail)
        (maildir / "new/1").write_bytes(reply("STOP"))
        result = app.test_cli_runner().invoke(args=["inbound", "maildir", str(maildir)])
        assert (result.exit_code, list((maildir / "new").iterdir())) == (0, [])
        assert review_reasons() == ["unreadable"]

    def test_at_a_token(
        self,
        to: str,
        take: Take,
        review_reasons: Callable[[], list[str]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("preference_center.inbound.opt_outs.record", fail)
        assert take(outlook(to), to).queued_for_review == 1
        assert review_reasons() == ["unreadable"]

    def test_a_header_that_can_not_be_parsed_still_names_a_token(
        self, app: Flask, to: str, ledger: Ledger, maildir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("preference_center.inbound.mail.BytesHeaderParser", fail)
        (maildir / "new/1").write_bytes(outlook(to))
        app.test_cli_runner().invoke(args=["inbound", "maildir", str(maildir)])
        assert list((maildir / "new").iterdir()) == []
        assert ledger.kinds() in ([OUT], [])

    def test_but_a_database_that_is_away_is_waited_for(
        self, take: Take, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # I1
        def away(*_: object, **_named: object) -> None:
            raise Unavailable("away")

        monkeypatch.setattr("preference_center.inbound.mailboxes.record", away)
        with pytest.raises(Unavailable):
            take(reply("STOP"), REPLIES)

    def test_a_message_that_can_not_be_opened_stays(
        self, app: Flask, to: str, ledger: Ledger, maildir: Path
    ) -> None:
        (maildir / "new/1").mkdir()
        (maildir / "new/2").write_bytes(outlook(to))
        result = app.test_cli_runner().invoke(args=["inbound", "maildir", str(maildir)])
        assert (result.exit_code, ledger.kinds()) == (0, [OUT])
        assert [path.name for path in (maildir / "new").iterdir()] == ["1"]


class TestLongReports:
    @pytest.fixture(autouse=True)
    def believing(self, mailboxes: None, set_to: Callable[..., None]) -> None:  # noqa: ARG002 - after it
        set_to(unauthenticated_reports="accept")

    def test_each_of_1500_recipients_is_read(
        self, take: Take, review_reasons: Callable[[], list[str]]
    ) -> None:
        names = [f"user{number}@example.com" for number in range(1500)]
        taken = take(dsn(*(f"{failed(name, diagnosis='')}\n" for name in names)), REPORTS)
        assert (taken.recorded, review_reasons()) == (1500, [])

    def test_what_is_not_read_is_queued_for_review(
        self, take: Take, review_reasons: Callable[[], list[str]]
    ) -> None:
        names = [f"user{number}@example.com" for number in range(5000)]
        taken = take(dsn(*(f"{failed(name, diagnosis='')}\n" for name in names)), REPORTS)
        assert 0 < taken.recorded < 5000
        assert review_reasons() == ["truncated"]

    def test_a_long_mail_that_is_given_back_cuts_nothing(
        self, take: Take, review_reasons: Callable[[], list[str]]
    ) -> None:
        mail = dsn(failed(JANE), returned=f"To: {JANE}\n\n" + "long\n" * 100_000)
        assert take(mail, REPORTS).recorded == 1
        assert review_reasons() == []

    def test_nor_does_a_long_list_in_prose_go_unseen(
        self, take: Take, review_reasons: Callable[[], list[str]]
    ) -> None:
        lines = "".join(f"<user{n}@example.com>:\nno such user here\n\n" for n in range(1000))
        mail = (
            "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nSubject: failure notice\n\n"
            f"Hi. This is the qmail-send program at mx.example.net.\n\n{lines}"
            "--- Below this line is a copy of the message.\n\nSubject: Offers\n"
        ).encode()
        take(mail, REPORTS)
        assert review_reasons() == ["truncated"]


class TestOurOwn:
    @pytest.fixture(autouse=True)
    def believing(self, mailboxes: None, set_to: Callable[..., None]) -> None:  # noqa: ARG002 - after it
        set_to(unauthenticated_reports="accept", mail_from="Acme <news@acme.example>")

    @pytest.mark.parametrize(
        "address", [REPLIES, REPORTS, "any@replies.acme.example", "news@acme.example"]
    )
    def test_an_address_of_ours_is_never_suppressed(
        self, take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]], address: str
    ) -> None:
        take(dsn(failed(address), returned=f"To: {address}\n"), REPORTS)
        take(arf(f"Original-Rcpt-To: {address}", returned="Subject: x\n"), REPORTS)
        assert (ledger.kinds(), review_reasons()) == ([], ["no_recipient", "no_recipient"])


@pytest.mark.parametrize("writer", ["jané@example.com", "jane@exämple.example"])
def test_an_address_that_is_not_ascii_is_read(
    take: Take, ledger: Ledger, writer: str
) -> None:  # RFC 6532
    mail = f"From: Jané Doe <{writer}>\nTo: {REPLIES}\nSubject: stop\n\nstop\n".encode()
    assert take(mail, REPLIES).recorded == 1
    assert ledger.kinds() == [("opted_out", "all_marketing")]


def test_a_nul_within_an_address_makes_it_nobodys(
    take: Take, ledger: Ledger, set_to: Callable[..., None]
) -> None:
    set_to(unauthenticated_reports="accept")
    take(dsn(failed("a\0b@example.com"), returned="Subject: x\n"), REPORTS)
    assert ledger.kinds() == []
