"""Link scanners and curious mail clients fetch everything and leave pages open: nothing happens."""

# ruff: noqa: F401, F811 - fixtures of the package are imported by name

from __future__ import annotations

import re
import ssl
from datetime import timedelta
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import httpx
import psycopg
import pytest

from preference_center.infra.outbox import REQUIRED_VALUES, EmailKind
from tests.clock import Clock
from tests.infra.mailing import give_mail_server, queued_emails
from tests.recipients.pages.test_preferences import Form
from tests.rights.pages.acts import press
from tests.web.pages.demo import put_in_force
from tests.web.pages.fixtures import MakeToken, app, make_token, proven

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from playwright.sync_api import Browser


TOPIC = "cascina.newsletter"
COUNTERS = {"audit"}
"""Records of access, not of anybody's state (I7)."""

FETCHED_ELSEWHERE = {
    # The same link to the status page as in the answer that a request was received:
    EmailKind.RIGHTS_DONE,
    EmailKind.RIGHTS_REFUSED,
    EmailKind.RIGHTS_EXTENDED,
    EmailKind.RIGHTS_LAPSED,
    # Tests of their own pages fetch these:
    EmailKind.ADDRESS_MOVED,
    EmailKind.ACCOUNT_CLOSED,
    EmailKind.RIGHTS_AGENT_ASKED,
}

_URL = re.compile(r"https?://[^\s<>\"']+")


def fetch(method: str, url: str, **given: Any) -> httpx.Response:
    """Fetch it as nobody in particular does: with no cookie of an answer before."""
    return httpx.request(method, url, verify=_tls(), follow_redirects=True, timeout=60, **given)


@cache
def _tls() -> ssl.SSLContext:
    """Not used for http, but httpx would load one for every request, which takes longer."""
    return ssl.create_default_context()


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in {"href", "src"} and value]
        action = dict(attrs).get("action")
        if tag == "form" and action:  # a scanner may well GET what only POST acts on
            self.found.append(action)


def _use_rights(client: FlaskClient, proven: str) -> None:
    """Ask for a link, for a file and for a correction, and report a minor."""
    client.post("/rights/access", data={"address": "ada@example.com"})
    press(client, f"/rights/access/{proven}", confirm="yes")
    press(client, f"/rights/correct/{proven}", what="address", address="new@example.com")
    client.post("/rights/minor", data={"address": "young@example.com", "why": "She is 12."})


def everything(database_url: str) -> dict[str, list[str]]:
    """Every row of every table."""
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        return {
            table: sorted(map(repr, connection.execute(f"SELECT * FROM {table}".encode())))
            for (table,) in tables
            if table not in COUNTERS
        }


@pytest.fixture
def mailed(
    app: Flask,
    clock: Clock,
    tmp_path: Path,
    site: str,
    make_token: MakeToken,
    monkeypatch: pytest.MonkeyPatch,
    proven: str,
) -> list[str]:
    """Every link of every mail: a sender's, header and body, and those that we send."""
    from dev.demo import mails
    from dev.demo.files import Files
    from preference_center.web.emails import render_email

    put_in_force(app, clock)
    give_mail_server(app, monkeypatch)
    fetch("POST", f"{site}/form", data={"address": "ada@example.com"}).raise_for_status()
    form = Form.of(app.test_client(), make_token("bea@example.com", TOPIC))
    form.ticks.add(TOPIC)
    form.send(app.test_client())
    _use_rights(app.test_client(), proven)
    ours = queued_emails(app)
    linked = {kind for kind, values in REQUIRED_VALUES.items() if "link" in values}
    assert {email.kind for email in ours} == linked - FETCHED_ELSEWHERE
    with app.app_context():
        mail = mails.capture(Files(tmp_path))
        texts = [mail.html, *(value for _, value in mail.headers)]
        for email in ours:
            for part in render_email(email, clock()).walk():
                texts += [] if part.is_multipart() else [part.get_content()]
    return sorted({url for text in texts for url in _URL.findall(text)})


@pytest.fixture
def pages(mailed: list[str], site: str, make_token: MakeToken, clock: Clock) -> dict[str, str]:
    """URL -> HTML of every page that can be reached from a mail by GET, links included.

    One person has opted out, one has an old link, one has done nothing.
    """
    out, old = make_token("bob@example.com", TOPIC), make_token(age=timedelta(days=90))
    done = fetch("POST", f"{site}/u/{out}", data={"confirm": "this"}).raise_for_status()
    start = [site + urlsplit(url).path for url in mailed if "/dev" not in url]
    start += links_of(f"{site}/u/{out}", done.text)
    start += [f"{site}/{page}/{token}" for page in "upw" for token in (out, old)]
    start += [f"{site}/form", f"{site}/", f"{site}/u/broken"]
    found: dict[str, str] = {}
    while start:
        url = start.pop()
        if url not in found and urlsplit(url).netloc == urlsplit(site).netloc:
            answer = fetch("GET", url)
            assert answer.status_code < 500
            is_page = answer.headers.get("Content-Type", "").startswith("text/html")
            found[url] = answer.text if is_page else ""
            if "lang=" not in url:  # the switch leads round in circles
                start += links_of(url, answer.text) if is_page else []
    return found


def links_of(url: str, html: str) -> list[str]:
    """The links, sources and targets of forms in a page, less fragments."""
    parser = _Links()
    parser.feed(html)
    return [urljoin(url, link).partition("#")[0] for link in parser.found]


def test_fetching_every_link_changes_nothing(
    pages: dict[str, str], mailed: list[str], database_url: str
) -> None:  # I7, RULES A3
    assert len(mailed) >= 3
    assert {path_of(url) for url in pages} >= {"u", "p", "w", "m", "c", "form", "static", "brand"}
    before = everything(database_url)
    for url in pages:
        for method in ("HEAD", "GET", "OPTIONS", "GET"):
            assert fetch(method, url).status_code < 500
    assert everything(database_url) == before
    assert before["event"]


def path_of(url: str) -> str:
    """The first part of a URL's path."""
    return urlsplit(url).path.split("/")[1]


def test_a_page_left_open_with_its_scripts_running_changes_nothing(
    browser: Browser, pages: dict[str, str], database_url: str
) -> None:  # I7
    before = everything(database_url)
    context = browser.new_context()
    posted: list[str] = []
    context.on("request", lambda sent: posted.append(sent.url) if sent.method != "GET" else None)
    for url in (url for url, html in pages.items() if html and "lang=" not in url):
        page = context.new_page()
        page.clock.install()
        page.goto(url)
        page.clock.run_for(10_000)  # every timer of the next ten seconds
    for page in context.pages:  # all of them stayed open till here
        page.wait_for_load_state("load")
    context.close()
    assert posted == []
    assert everything(database_url) == before


@pytest.mark.usefixtures("mailed")
def test_a_scanner_that_did_press_the_button_would_be_noticed(
    site: str, make_token: MakeToken, database_url: str
) -> None:
    before: Any = everything(database_url)
    fetch("POST", f"{site}/u/{make_token(scope=TOPIC)}", data={"confirm": "this"})
    assert everything(database_url) != before
