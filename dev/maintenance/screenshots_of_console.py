"""Pictures of the console with the demo's company in it, for docs/console.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dev import console
from dev.demo.acts import REPLIES
from dev.demo.clock import Clock
from dev.demo.files import Files
from dev.demo.history import ADA
from dev.demo.pushing import Pushes
from dev.demo.seeding import seed
from dev.engines import CHECKOUT, for_test
from dev.maintenance.browser import chromium
from dev.maintenance.pictures import Screen, press
from dev.maintenance.screenshots import NOW, disconnect, on_port, settings_for_pictures, webp
from dev.postgres import make_database
from dev.server import free_port
from preference_center.app.web import create_app
from preference_center.infra.company_webhooks import ALLOW_PRIVATE
from preference_center.reports.store import count_new_events

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, StorageState

FOLDER = CHECKOUT / "docs" / "images" / "console"
DATABASE = "console_screenshots"
TOOLS = "http://127.0.0.1:9"

WIDE = Screen("wide", {"width": 1280, "height": 800}, "light")
DARK = Screen("wide-dark", {"width": 1280, "height": 800}, "dark")
PHONE = Screen("phone", {"width": 390, "height": 844}, "light")
PHONE_DARK = Screen("phone-dark", {"width": 390, "height": 844}, "dark")


@dataclass(frozen=True, slots=True)
class ConsolePicture:
    """A page of the console: its file, and how to get there from the first page."""

    key: str
    open: Callable[[Page, str], None]
    screens: Sequence[Screen] = (WIDE,)
    height: int = 2_000
    """CSS pixels; what is lower is cut off."""


def _at(path: str) -> Callable[[Page, str], None]:
    def open_path(page: Page, site: str) -> None:
        page.goto(f"{site}/console{path}")

    return open_path


def _sign_in(page: Page, site: str) -> None:
    page.context.clear_cookies()
    page.goto(f"{site}/console/sign-in")


def _person(page: Page, site: str) -> None:
    page.goto(f"{site}/console/people")
    page.locator("#who").fill(ADA)
    page.locator("#reason").select_option("called")
    press(page, page.locator("main button.primary"))


def _record(page: Page, site: str) -> None:
    _person(page, site)
    press(page, page.locator("main a[href$='/record']").first)


def _mail(page: Page, site: str) -> None:
    page.goto(f"{site}/console/review")
    press(page, page.locator("a[href*='/review/mails/']").first)


def _request(page: Page, site: str) -> None:
    page.goto(f"{site}/console/requests")
    press(page, page.locator("table a[href*='/console/requests/']").first)


def _settings(page: Page, site: str) -> None:
    page.goto(f"{site}/console/window/add_destination/settings?kind=hubspot")


def _topics(page: Page, site: str) -> None:
    page.goto(f"{site}/console/window/add_destination/settings?kind=webhook")
    page.locator("input[name=name]").fill("loyalty")
    page.locator("[id='setting:url']").fill("http://127.0.0.1:9/hooks")
    page.locator("[id='setting:secret']").fill(f"whsec_{'A' * 32}")
    press(page, page.locator("main button.primary"))


def _preview(page: Page, site: str) -> None:
    _topics(page, site)
    for box in page.locator("input[type=checkbox]").all()[:3]:
        box.check()
    press(page, page.locator("main button.primary"))


def _edit(page: Page, site: str) -> None:
    page.goto(f"{site}/console/catalogue/edit")
    text = page.locator("textarea").input_value()
    title = 'title.en = "The farm journal"'
    page.locator("textarea").fill(text.replace(title, 'title.en = "The farm letter"'))
    press(page, page.locator("main button.primary").first)


PICTURES = (
    ConsolePicture("sign-in", _sign_in),
    ConsolePicture("person", _person, (WIDE, PHONE_DARK)),
    ConsolePicture("record", _record),
    ConsolePicture("review", _at("/review")),
    ConsolePicture("mail", _mail),
    ConsolePicture("requests", _at("/requests")),
    ConsolePicture("request", _request),
    ConsolePicture("window", _at("/window?period=7d"), (WIDE, DARK, PHONE)),
    ConsolePicture("destination", _at("/window/email-tool?period=7d")),
    ConsolePicture("add-settings", _settings),
    ConsolePicture("add-topics", _topics),
    ConsolePicture("add-preview", _preview),
    ConsolePicture("catalogue", _at("/catalogue")),
    ConsolePicture("edit", _edit),
    ConsolePicture("senders", _at("/senders")),
    ConsolePicture("imports", _at("/imports")),
    ConsolePicture("reports", _at("/reports"), height=1_600),
    ConsolePicture("staff", _at("/staff")),
    ConsolePicture("audit", _at("/audit"), height=900),
)


def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    taken: set[Path] = set()
    with ExitStack() as stack:
        engines = stack.enter_context(for_test(environ={}))
        make_database(engines.database.url, DATABASE)
        url = engines.database.url.rpartition("/")[0] + f"/{DATABASE}"
        site = stack.enter_context(_serving(url, engines.redis.url))
        browser = stack.enter_context(chromium())
        state = _sign_in_all(browser, site)
        for picture in PICTURES:
            for screen in picture.screens:
                taken.add(_take(browser, screen, picture, site, state))
    for stale in set(FOLDER.glob("*.webp")) - taken:
        stale.unlink()
    size = sum(path.stat().st_size for path in taken)
    print(f"{len(taken)} pictures, {size // 1024} KiB, in {FOLDER.relative_to(CHECKOUT)}")


@contextmanager
def _serving(database_url: str, redis_url: str) -> Iterator[str]:
    """The service with the demo's company; yields its URL."""
    port = free_port()
    site, clock = f"http://127.0.0.1:{port}", Clock(lambda: NOW)
    settings = settings_for_pictures(database_url, redis_url, site)
    os.environ[ALLOW_PRIVATE] = "1"
    with TemporaryDirectory() as folder:
        settings = settings.model_copy(
            update={"reply_addresses": REPLIES, "file_drop_root": folder}
        )
        app = create_app(settings, now=clock, random=Random(7))  # noqa: S311 - no secret
        app.register_blueprint(console.blueprint)
        with app.app_context():
            files = Files(Path(folder))
            seed(files, TOOLS, 8300, clock)
            Pushes(clock, files).push()
            count_new_events(NOW)
            with on_port(app, port):
                yield site
            disconnect(app)


def _sign_in_all(browser: Browser, site: str) -> StorageState:
    """Sign everybody of the staff in; returns the cookies of the last, who has every role."""
    context = browser.new_context()
    for member in console.STAFF:
        context.request.post(f"{site}/console/sign-in-as", form={"name": member.name})
    state = context.storage_state()
    context.close()
    return state


def _take(
    browser: Browser, screen: Screen, picture: ConsolePicture, site: str, state: StorageState
) -> Path:
    context = browser.new_context(
        viewport=screen.size,
        color_scheme=screen.scheme,
        locale="en-GB",
        reduced_motion="reduce",
        storage_state=state,
    )
    page = context.new_page()
    picture.open(page, site)
    height = page.locator("html").evaluate("html => html.scrollHeight")
    width = screen.size["width"]
    page.set_viewport_size({"width": width, "height": min(height, picture.height)})
    path = FOLDER / f"{picture.key}-{screen.name}.webp"
    path.write_bytes(webp(page, picture.height))
    context.close()
    return path


if __name__ == "__main__":
    main()
