"""The pages in five languages: how one is chosen, kept and recorded."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING

import pytest

from tests.recipients.pages.test_preferences import Form
from tests.web.pages.demo import put_in_force

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.clock import Clock
    from tests.ledger.tables import Ledger
    from tests.web.pages.fixtures import MakeToken

HEADINGS = {
    "it": "Disiscriversi da «",
    "en": "Unsubscribe from “",
    "de": "Von „",
    "fr": "Se désabonner de «",
    "es": "¿Darse de baja de «",
}


def switch(text: str) -> list[str]:
    """Where the links of the switch lead, in the order of the page."""
    return re.findall(r'<a href="([^"]*)" lang="\w\w" hreflang', text)


@pytest.mark.parametrize("language", HEADINGS)
class TestEveryLanguage:
    def test_is_chosen_by_the_browser_and_declared(
        self, client: FlaskClient, token: str, language: str
    ) -> None:
        response = client.get(f"/u/{token}", headers={"Accept-Language": f"{language}, pt;q=0.5"})
        assert HEADINGS[language] in response.text
        assert f'<html lang="{language}">' in response.text
        assert response.headers["Content-Language"] == language

    def test_is_chosen_by_the_switch_without_a_cookie(
        self, client: FlaskClient, token: str, language: str
    ) -> None:
        response = client.get(f"/u/{token}?lang={language}", headers={"Accept-Language": "it"})
        assert HEADINGS[language] in response.text
        assert "Set-Cookie" not in response.headers
        assert f'hreflang="{language}" aria-current="true"' in re.sub(r"\s+", " ", response.text)

    def test_stays_through_links_and_forms(
        self, client: FlaskClient, token: str, language: str, ledger: Ledger
    ) -> None:
        page = client.get(f"/u/{token}?lang={language}").text
        targets = re.findall(r'(?:action|href)="(/[up]/[^"]*)"', page)
        assert len(targets) == 2
        assert all(target.endswith(f"?lang={language}") for target in targets)
        action = re.search(r'action="([^"]*)"', page)
        assert action
        done = client.post(action[1], data={"confirm": "this"}, follow_redirects=True)
        assert done.headers["Content-Language"] == language
        [event] = ledger.events()
        assert event["evidence"]["language"] == language  # I8: the language of the opt-out

    def test_is_that_of_the_form_too(
        self, client: FlaskClient, proven: str, language: str, ledger: Ledger, clock: Clock
    ) -> None:
        path = f"/p/{proven}?lang={language}"
        form = Form.in_page(path, client.get(path).text)
        clock.advance(timedelta(minutes=1))
        form.ticks |= {"offers"}
        assert f'<html lang="{language}">' in form.send(client).text
        [event] = ledger.events()
        assert event["evidence"]["language"] == language

    def test_is_spoken_where_a_link_is_broken_or_a_page_missing(
        self, client: FlaskClient, language: str
    ) -> None:
        for path in ("/u/broken", "/nowhere"):
            response = client.get(path, headers={"Accept-Language": language})
            assert response.status_code == 404
            assert response.headers["Content-Language"] == language
            assert f'<html lang="{language}">' in response.text


def test_a_switch_leads_to_the_same_page_and_repeats_no_token(
    client: FlaskClient, token: str
) -> None:
    everywhere = [f"?lang={language}" for language in HEADINGS]
    for path in (f"/u/{token}", "/u/broken"):
        assert switch(client.get(path).text) == everywhere


def test_after_a_press_the_switch_leads_to_the_same_result(client: FlaskClient, token: str) -> None:
    data = {"confirm": "this"}
    page = client.post(f"/u/{token}?lang=de", data=data, follow_redirects=True).text
    links = [unescape(link) for link in switch(page)]
    assert [link.rpartition("&")[2] for link in links] == [f"lang={tag}" for tag in HEADINGS]
    assert all(token not in link for link in links)
    english = client.get(f"/u/{token}{links[1]}").text
    assert "<h1>You are unsubscribed</h1>" in english
    assert 'name="undo"' in english


def test_texts_in_a_language_that_the_catalogue_lacks_are_marked(
    client: FlaskClient, token: str
) -> None:  # C8: 3.1.2
    page = client.get(f"/u/{token}", headers={"Accept-Language": "de"}).text
    assert 'Von „<span lang="en">Weekly digest</span>“ abmelden?' in page


def test_a_pause_ends_on_a_day_written_as_the_reader_writes_it(
    client: FlaskClient, token: str, clock: Clock
) -> None:
    from preference_center.core.addresses import Channel, parse_address
    from preference_center.core.events import Change, EventKind
    from preference_center.infra.context import services
    from preference_center.ledger import record

    until = clock() + timedelta(days=30)
    with client.application.app_context():
        pause = Change(
            services().new_id(),
            EventKind.PAUSED,
            parse_address("jane.doe@example.com", Channel.EMAIL),
            "digest",
            clock(),
            clock(),
            "test",
            "test",
            until=until,
        )
        record([pause])
    page = client.get(f"/p/{token}?lang=it").text
    months = "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre"
    assert re.search(rf"In pausa fino al \d+ ({'|'.join(months.split())}|dicembre) \d{{4}}\.", page)
    assert str(until.date()) not in page


@pytest.mark.parametrize("language", HEADINGS)
def test_service_mail_goes_by_its_title(
    client: FlaskClient, make_token: MakeToken, clock: Clock, language: str
) -> None:
    put_in_force(client.application, clock)
    titles = {
        "it": "Nuova password",
        "en": "Password reset",
        "de": "Passwort zurücksetzen",
        "fr": "Réinitialisation du mot de passe",
        "es": "Restablecer la contraseña",
    }
    page = client.get(f"/p/{make_token(scope='cascina.newsletter')}?lang={language}").text
    assert f'<span lang="{language}">{titles[language]}</span>' in page
