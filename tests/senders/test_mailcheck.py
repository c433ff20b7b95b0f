"""What `flask check-mail` finds: each fault alone, and none where all is well."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email import message_from_string
from email.utils import getaddresses

import pytest

from preference_center.catalogue import parse_catalogue
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.errors import InvalidInput
from preference_center.core.links.tokens import TokenPurpose
from preference_center.senders.mailcheck import check_email
from preference_center.senders.mailcheck.links import Severity
from tests.in_force import CATALOGUE
from tests.senders.mails import (  # fmt: skip
    ADA,
    DKIM,
    HOST,
    KEY,
    LINK,
    LINKS,
    NOW,
    OLDER,
    OURS,
    REGISTRY,
    codes,
    compose,
    newsletter,
    offline,
    with_body,
)

GOOD = newsletter()
URL = f"https://{HOST}/p/{LINKS.create_token(LINK)}"
ANCHOR = f'<a href="{URL}">Choose</a>'


def test_nothing_is_wrong_with_a_sound_mail() -> None:
    assert codes(GOOD) == set()
    assert codes(offline()) == set()
    assert codes(GOOD, Severity.OK) >= {"dkim_covers", "header_readable", "mailto", "key_newest"}
    assert codes(offline(), Severity.OK) >= {"key_age", "mailto", "recipient"}


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_line_ends_do_not_matter(end: str) -> None:
    assert codes(GOOD.replace("\n", end)) == set()
    assert codes("\ufeff" + GOOD.replace("\n", end)) == set()


def test_nor_does_folding_after_the_comma() -> None:
    folded = GOOD.replace("List-Unsubscribe: ", "List-Unsubscribe:\n ").replace(", <m", ",\n\t<m")
    assert codes(folded) == set()


def swap(old: str, new: str) -> Callable[[], str]:
    assert re.search(old, GOOD), old
    return lambda: re.sub(old, new, GOOD)


POST = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\n"
ENTRY = r"(List-Unsubscribe: )<(https:[^>]*)>, <(mailto:[^>]*)>"
FAULTS: dict[str, tuple[Callable[[], str], set[str]]] = {
    "no Post header": (swap(POST, ""), {"header_missing"}),
    "no header": (swap(ENTRY + "\n", ""), {"header_missing"}),
    "two headers": (swap("(Subject: )", r"List-Unsubscribe: <mailto:a@b.it>\n\1"),
        {"header_repeated", "https_count", "mailto_foreign"}),
    "two Post headers": (swap(POST, POST * 2), {"header_repeated"}),
    "yes": (swap("=One-Click", "=Yes"), {"post_value"}),
    "lower case": (swap("=One-Click", "=one-click"), {"post_value"}),
    "no brackets": (swap(ENTRY, r"\1\2"), {"header_form"}),
    "mailto first": (swap(ENTRY, r"\1<\3>, <\2>"), {"https_not_first"}),
    "mailto only": (swap(ENTRY, r"\1<\3>"), {"https_count"}),
    "https twice": (swap(ENTRY, r"\1<\2>, <\2>, <\3>"), {"https_count"}),
    "plain http": (swap(r"(List-Unsubscribe: )<https", r"\1<http"), {"https_count", "plain_http"}),
    "http too": (swap(ENTRY, r"\1<\2>, <http://x.example/>, <\3>"), {"plain_http"}),
    "no mailto": (swap(ENTRY, r"\1<\2>"), {"mailto_missing"}),
    "the tool's mailto": (swap(ENTRY, r"\1<\2>, <mailto:u-1@tool.example>"), {"mailto_foreign"}),
    "encoded": (swap("(List-Unsubscribe: )<", r"\1=?utf-8?q?=3C"), {"header_encoded"}),
    "folded inside": (swap("(List-Unsubscribe: <https.{60})", r"\1\n "), {"header_folded"}),
    "too long": (swap("(Subject: )", r"\1" + "x" * 1000), {"line_too_long"}),
    "not ours": (swap(ENTRY, r"\1<https://tool.example/u/1>, <\3>"), {"header_foreign"}),
    "rewritten": (swap(ENTRY, rf"\1<https://click.tool.example/?u=https%3A%2F%2F{HOST}%2Fu%2Fx>"),
        {"header_rewritten", "mailto_missing"}),
    "the page": (swap("(List-Unsubscribe: .*?)/u/", r"\1/p/"), {"header_page"}),
    "cut": (swap("(List-Unsubscribe: <https.{60})[^>]*", r"\1"), {"header_unreadable"}),
    "merge tag": (swap(ENTRY, rf"\1<https://{HOST}/*|UNSUBLINK|*>, <\3>"), {"header_merge_tag"}),
    "no DKIM": (swap(r"DKIM-Signature: .*(\n\t.*)*\n", ""), {"dkim_missing"}),
    "h= without Post": (swap(r":\n\t List-Unsubscribe-Post;", ";"), {"dkim_not_covering"}),
    "signed by a tool": (swap("d=news.acme.example", "d=tool.example"), {"dkim_foreign"}),
    "failed": (swap("(Subject: )", r"Authentication-Results: mx.example; dkim=fail (bad)\n\1"),
        {"dkim_failed"}),
    "to another": (swap("Ada <Ada@Example.com>", "grace@example.com"), {"recipient_mismatch"}),
    "to many": (swap("(To: .*)", r"\1, grace@example.com"), {"many_recipients"}),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_no_other(fault: str) -> None:
    make, expected = FAULTS[fault]
    assert codes(make()) == expected


def test_two_signatures_of_which_one_covers_both_will_do() -> None:
    tools = "DKIM-Signature: v=1; d=tool.example; h=From:To; b=x\n"
    assert codes(tools + GOOD) == set()
    spaced = DKIM.replace("List-Unsubscribe:", "list-unsubscribe : ")
    assert codes(GOOD.replace(DKIM, spaced)) == set()


def test_a_key_that_is_not_the_newest_or_old_is_reported() -> None:
    assert codes(newsletter(links=OLDER)) == {"key_not_newest"}
    assert codes(offline(8)) == {"key_old"}


def test_a_revoked_key_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY.keys, 7, replace(KEY, revoked_at=NOW))
    assert codes(offline()) == {"header_revoked", "body_revoked"}


def test_a_revoked_column_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    permanent = replace(LINK, message_id="", destination_id=3, issued_at=NOW - timedelta(days=900))
    url = f"https://{HOST}/u/{LINKS.create_permanent_token(permanent)}"
    headers = {
        "List-Unsubscribe": f"<{url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    mail = compose(headers, url)
    assert codes(mail) == {"mailto_missing"}
    monkeypatch.setitem(REGISTRY.permanent, 3, NOW)
    assert codes(mail) == {"mailto_missing", "header_revoked", "body_revoked"}


@pytest.mark.parametrize("days, expected", [(0, set()), (3, {"link_reused"})])
def test_a_link_of_an_earlier_message_is_reported(days: int, expected: set[str]) -> None:
    assert codes(newsletter(replace(LINK, issued_at=NOW - timedelta(days=days)))) == expected


def test_a_mail_of_last_year_shows_its_age() -> None:
    link = replace(LINK, issued_at=NOW - timedelta(days=365))
    mail = newsletter(link).replace("Nov 2026 09", "Nov 2025 09").replace("Tue, 24", "Mon, 24")
    assert codes(mail) == {"link_aged"}


def test_a_topic_that_is_gone_is_reported() -> None:
    assert codes(newsletter(replace(LINK, scope="acme.old"))) == {"header_topic", "body_topic"}
    assert codes(newsletter(replace(LINK, scope="no.such"))) == {"header_topic", "body_topic"}


@pytest.mark.parametrize(
    "use", [TokenPurpose.PAGE_VISIT, TokenPurpose.EMAILED_LINK, TokenPurpose.PORTAL]
)
def test_a_pass_must_not_stand_in_a_mail(use: TokenPurpose) -> None:
    from uuid import UUID

    for now in (NOW, NOW - timedelta(days=100)):
        token = LINKS.create_one_time_token(use, ADA, UUID(LINK.message_id), now)
        assert "body_one_time_token" in codes(
            with_body(f'<a href="https://{HOST}/p/{token}">Choose</a>')
        )
    probe = LINKS.create_probe_token(NOW)
    assert "body_one_time_token" in codes(
        with_body(f'<a href="https://{HOST}/u/{probe}">Choose</a>')
    )


@pytest.mark.parametrize(
    "body, expected",
    [
        (ANCHOR, set()),
        (ANCHOR.replace("https", "HTTPS"), set()),
        (f'<a href="{URL}?utm_source=x#y">Choose</a>', set()),
        ("<p>News</p>", {"body_no_link"}),
        (ANCHOR.replace("https:", "http:"), {"body_plain_http"}),
        (ANCHOR.replace('">', 'x">'), {"body_unreadable"}),
        (f'<a href="https://{HOST}/p/*|PREFLINK|*">Choose</a>', {"body_merge_tag"}),
        ('<a href="*|PREFLINK|*">Choose</a>', {"body_merge_tag", "body_no_link"}),
        ('<a href="{{ contact.preference_link }}">x</a>', {"body_merge_tag", "body_no_link"}),
        ('<a href="">Unsubscribe</a>', {"body_empty_link", "body_no_link"}),
        (ANCHOR + '<a href="https://x.list-manage.com/unsubscribe?u=1">Leave</a>',
            {"body_second_link"}),
        (ANCHOR + '<a href="https://tool.example/1">Abmelden</a>', {"body_second_link"}),
        (ANCHOR + '<a href="https://tool.example/1"><img alt="Disiscriviti"></a>',
            {"body_second_link"}),
        (ANCHOR + '<a href="https://shop.example/">Shop</a>', set()),
        ('<a href="https://tool.example/1">unsubscribe</a>', {"body_second_link", "body_no_link"}),
        (f'<a href="https://c.example/?u=https%253A%252F%252F{HOST}%252Fp%252Fx">Choose</a>',
            {"body_rewritten"}),
        ('<a href="https://u123.ct.sendgrid.net/ls/click?upn=abc">Unsubscribe</a>',
            {"body_rewritten"}),
        ('<a href="http://[::1">broken</a>' + ANCHOR, set()),
        (f"<A HREF={URL}>Choose", set()),
    ],
)  # fmt: skip
def test_the_links_of_a_body(body: str, expected: set[str]) -> None:
    assert codes(with_body(body)) == expected


def test_a_text_part_alone_will_do() -> None:
    assert codes(with_body(f"Unsubscribe here ({URL}).", "plain")) == set()


def test_a_body_about_somebody_else_is_reported() -> None:
    other = replace(LINK, address=parse_address("grace@example.com", Channel.EMAIL))
    body = f'<a href="https://{HOST}/p/{LINKS.create_token(other)}">Choose</a>'
    assert codes(with_body(body)) == {"body_mismatch"}


def test_a_mailbox_of_somebody_else_is_reported() -> None:
    other = newsletter(replace(LINK, address=parse_address("grace@example.com", Channel.EMAIL)))
    (theirs,) = re.findall("mailto:[^>]*", other)
    assert codes(re.sub("mailto:[^>]*", theirs, GOOD)) == {"mailto_mismatch"}


@pytest.mark.parametrize("junk", [b"", b"\n\n", b"\x89PNG\r\n\x1a\n", b"just a line of text"])
def test_what_is_no_mail_is_reported(junk: bytes) -> None:
    with pytest.raises(InvalidInput, match="not a mail"):
        check_email(junk, OURS, NOW)


@pytest.mark.parametrize("at", range(0, len(GOOD), 97))
def test_a_mail_that_was_cut_or_damaged_is_still_checked(at: int) -> None:
    damaged = GOOD.encode()
    for raw in (damaged[:at], damaged[:at] + b"\xff\x00<>=?" + damaged[at:]):
        try:
            check_email(raw, OURS, NOW)
        except InvalidInput:
            assert at < 20


def test_no_finding_holds_an_address_or_a_token() -> None:  # I12
    mails = [GOOD, offline(), *(make() for make, _ in FAULTS.values())]
    output = json.dumps(
        [one.as_dict() for mail in mails for one in check_email(mail.encode(), OURS, NOW)]
    )
    assert "ada@" not in output.lower()
    assert "grace" not in output
    token = message_from_string(GOOD)["List-Unsubscribe"][30:60]
    assert token not in output


def test_every_finding_states_its_fix_and_its_rule() -> None:
    for make, _ in FAULTS.values():
        for one in check_email(make().encode(), OURS, NOW):
            assert (one.severity is Severity.OK) != bool(one.remedy and one.source)


def test_marketing_from_the_contact_is_warned_of() -> None:  # A13
    [(_, address)] = getaddresses([message_from_string(GOOD)["From"]])
    named = CATALOGUE.replace(
        'name = "Acme"', f'name = "Acme"\nhost = "{HOST}"\ncontact.email = "Us <{address.upper()}>"'
    )
    installation = replace(OURS, catalogue=parse_catalogue(named))
    found = {finding.code for finding in check_email(GOOD.encode(), installation, NOW)}
    assert "from_is_contact" in found
    other = replace(
        OURS, catalogue=parse_catalogue(named.replace(address.upper(), "c@acme.example"))
    )
    found = {finding.code for finding in check_email(GOOD.encode(), other, NOW)}
    assert "from_is_contact" not in found
