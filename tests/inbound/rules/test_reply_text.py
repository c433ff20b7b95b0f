"""The own words of a reply, as each mail program sets them apart from what it quotes."""

from __future__ import annotations

import pytest

from preference_center.core.mime import parse_mail
from preference_center.inbound.rules.text import reply_text
from tests.inbound.rules.clients import OWN, quotations
from tests.inbound.rules.reports import reply

UTF8 = "Content-Type: text/plain; charset=utf-8\n"


@pytest.mark.parametrize(
    "language, quotation",
    [
        pytest.param(language, quotation, id=f"{client}-{language}")
        for client, language, quotation in quotations()
    ],
)
def test_quotations_and_signatures_are_left_out(language: str, quotation: str) -> None:
    mail = parse_mail(reply(f"{OWN[language]}\n\n{quotation}", header=UTF8))
    assert reply_text(mail) == OWN[language]


@pytest.mark.parametrize(
    "quotation", [pytest.param(text, id=f"{client}-{code}") for client, code, text in quotations()]
)
def test_a_quotation_alone_states_nothing(quotation: str) -> None:
    own = reply_text(parse_mail(reply(quotation, header=UTF8)))
    assert own in {"", "Acme"}


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param('<div class="gmail_quote gmail_quote_container">', id="gmail"),
        pytest.param(
            '<div id="ydp1a2b3cyahoo_quoted_123" class="ydp1a2b3cyahoo_quoted">', id="yahoo"
        ),
        pytest.param('<div id="divRplyFwdMsg" dir="ltr">', id="outlook"),
        pytest.param('<div class="moz-cite-prefix">', id="thunderbird"),
        pytest.param('<blockquote type="cite">', id="apple"),
        pytest.param('<div class="protonmail_quote">', id="proton"),
        pytest.param('<blockquote class="tutanota_quote">', id="tuta"),
        pytest.param('<hr id="zwchr">', id="zimbra"),
    ],
)
def test_so_they_are_in_html(mark: str) -> None:
    page = f"<p>Abmelden bitte</p>{mark}<p>Unsubscribe here</p></div>"
    mail = parse_mail(reply(page, header="Content-Type: text/html; charset=utf-8\n"))
    assert reply_text(mail) == "Abmelden bitte"


def test_what_stands_between_quotations_is_read_unless_a_program_wrapped_it() -> None:
    between = "> Sale\n> today\n\nPlease stop.\n\n> Buy now\n\nJane"
    wrapped = "> Sale, or\nunsubscribe\n> here\n\nJane"
    assert (
        reply_text(parse_mail(f"From: a@b.example\n\n{between}".encode()))
        == "Please stop.\n\n\nJane"
    )
    assert reply_text(parse_mail(f"From: a@b.example\n\n{wrapped}".encode())) == "Jane"
