"""Pictures of every page that people meet, for `docs/pages.md`: `make screenshots`.

The real app on engines of its own, with the demo's catalogue, at one moment and with one
seed: what the pictures show changes only when a page does, so that a change of looks is
seen in review. (Another machine has other fonts: there all of them change.)
"""

from __future__ import annotations

import base64
import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from dev.demo.states import Demo
from dev.engines import CHECKOUT, for_test
from dev.maintenance.browser import chromium
from dev.maintenance.pictures import TWO, Picture, Screen, press
from dev.maintenance.screenshots_of_cookies import COOKIE_PICTURES
from dev.maintenance.screenshots_of_rights import RIGHTS_PICTURES
from dev.postgres import make_database
from dev.server import free_port
from dev.shops import create_app as create_shops
from preference_center.app.tables import upgrade
from preference_center.app.web import create_app
from preference_center.core.addresses import Channel
from preference_center.infra.config import Settings
from preference_center.infra.context import db
from preference_center.infra.db.connections import COMMAND_TIMEOUTS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = CHECKOUT / "docs" / "images" / "pages"
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
DATABASE = "screenshots"
QUALITY = 34
"""Of WebP: small enough to be kept in the repository, with the text still sharp."""

ABOUT = (
    "The pages with the demo's catalogue: on a phone and a desktop, light and dark."
    " `make screenshots` updates these images, so that visual changes show in review."
    " Next to others' pages: [compared](evidence/pages-compared.md)."
)


def _unsubscribe(page: Page, demo: Demo) -> None:
    page.goto(demo.url("u"))


def _done(page: Page, demo: Demo) -> None:
    page.goto(demo.url("u"))
    press(page, page.locator("main button[value=this]"))


def _already(page: Page, demo: Demo) -> None:
    _done(page, demo)
    page.goto(f"{page.url.partition('?')[0]}?lang={demo.language}")


def _undone(page: Page, demo: Demo) -> None:
    _done(page, demo)
    press(page, page.locator("#result button"))


def _mailed(page: Page, demo: Demo) -> None:
    _form(page, demo)
    page.locator("#address").fill(new := demo.new_address())
    press(page, page.locator("main form button").first)
    page.goto(f"{demo.link_mailed_to(new)}?lang={demo.language}")


def _preferences(page: Page, demo: Demo) -> None:
    page.goto(demo.url("p", consents=True))


def _saved(page: Page, demo: Demo) -> None:
    _preferences(page, demo)
    page.locator("input[type=checkbox]:checked").last.uncheck()
    press(page, page.locator("main form button").last)


def _asked(page: Page, demo: Demo) -> None:
    page.goto(demo.url("p"))
    page.locator("input[type=checkbox]:not(:checked)").first.check()
    press(page, page.locator("main form button").last)


def _confirm(page: Page, demo: Demo) -> None:
    _asked(page, demo)
    page.goto(f"{demo.link_mailed_to(demo.newest_address)}?lang={demo.language}")


def _old_link(page: Page, demo: Demo) -> None:
    page.goto(demo.url("p", age=timedelta(days=90)))


def _where(page: Page, demo: Demo) -> None:
    page.goto(demo.opt_out_status_url())


def _forwarded(page: Page, demo: Demo) -> None:
    page.goto(demo.opt_out_status_url(proven=False))


def _text_message(page: Page, demo: Demo) -> None:
    page.goto(demo.url("p", channel=Channel.SMS))


def _form(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.site}/form?lang={demo.language}")


def _requested(page: Page, demo: Demo) -> None:
    _form(page, demo)
    page.locator("main input:not([type=hidden])").first.fill("ada@example.com")
    press(page, page.locator("main form button").first)


def _unreadable(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.site}/u/broken?lang={demo.language}")


PICTURES = (
    Picture("unsubscribe", "Unsubscribe", "The link of a message.", _unsubscribe),
    Picture("done", "Unsubscribed", "After its button, with undo.", _done),
    Picture("undone", "Undone", "After undo.", _undone),
    Picture("already", "Already unsubscribed", "The link opened again.", _already),
    Picture("preferences", "What you receive", "The preference page.", _preferences),
    Picture("saved", "Saved", "The same after a topic was turned off.", _saved),
    Picture(
        "asked", "Please confirm", "After a topic was turned on with a message's link.", _asked
    ),
    Picture(
        "confirm", "Do you want to receive this?", "The link of the confirmation email.", _confirm
    ),
    Picture(
        "where",
        "Track my unsubscribe request",
        "The receipt, with a link that proves control; see [receipts](receipts.md).",
        _where,
    ),
    Picture("forwarded", "The same, forwarded", "The link of a message shows less.", _forwarded),
    Picture(
        "sms",
        "Text messages",
        "The page of a phone number, in Italian.",
        _text_message,
        language="it",
    ),
    Picture("old", "An old link", "It can opt out for ever, and shows nothing more.", _old_link),
    Picture("form", "Without a link", "The form that emails one.", _form),
    Picture("requested", "Look into your mailbox", "After that form.", _requested),
    Picture("mailed", "A mailed link", "Its choices, or all marketing off at once.", _mailed),
    Picture("unreadable", "A broken link", "In German.", _unreadable, language="de"),
    Picture(
        "bottega-unsubscribe", "Another brand", "Of the same company.", _unsubscribe, TWO, "bottega"
    ),
    Picture("bottega-done", "Its unsubscribed page", "With undo.", _done, TWO, "bottega"),
    Picture(
        "bottega-preferences",
        "Its preference page",
        "All topics of the company, in the looks of the brand that wrote.",
        _preferences,
        TWO,
        "bottega",
    ),
    *RIGHTS_PICTURES,
    *COOKIE_PICTURES,
)


def main() -> None:
    """Take all pictures and write the page that shows them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    taken: set[Path] = set()
    with ExitStack() as stack:
        engines = stack.enter_context(for_test(environ={}))
        make_database(engines.database.url, DATABASE)
        url = engines.database.url.rpartition("/")[0] + f"/{DATABASE}"
        demo = stack.enter_context(serving(url, engines.redis.url))
        browser = stack.enter_context(chromium())
        for picture in PICTURES:
            for screen in picture.screens:
                taken.add(_take(browser, screen, picture, demo))
    for stale in set(FOLDER.glob("*.webp")) - taken:
        stale.unlink()
    (CHECKOUT / "docs" / "pages.md").write_text(markdown(), encoding="utf-8")
    size = sum(path.stat().st_size for path in taken)
    print(f"{len(taken)} pictures, {size // 1024} KiB, in {FOLDER.relative_to(CHECKOUT)}")


@contextmanager
def serving(database_url: str, redis_url: str) -> Iterator[Demo]:
    """The service on a port and an empty database, with the demo's catalogue."""
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    clock = [NOW]
    settings = settings_for_pictures(database_url, redis_url, site)
    dice = Random(7)  # noqa: S311 - no secret
    app = create_app(settings, now=lambda: clock[0], random=dice, timeouts=COMMAND_TIMEOUTS)
    with app.app_context(), on_port(create_shops(site, timeout=60)) as shops_port:
        upgrade()
        demo = Demo(site, clock, shops_port)
        demo.begin()
        with on_port(app, port):
            yield demo
        disconnect(app)


@contextmanager
def on_port(app: Flask, port: int = 0) -> Iterator[int]:
    """Serve it there, or on any free port, until the end of the block."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Say nothing: requests hold tokens."""


def settings_for_pictures(database_url: str, redis_url: str, site: str) -> Settings:
    """Of the service that pictures are taken of."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        public_url=site,
        secret_key="for pictures only, and known to everybody",  # noqa: S106 - no secret
        digest_keys=f"d1:{_key(1)}",
        encryption_keys=f"e1:{_key(2)}",
        link_keys=f"l1:{_key(3)}",
        phone_region="IT",
        time_zone="Europe/Rome",
        smtp_url="smtp://127.0.0.1:9",  # nothing is sent: no worker runs
        mail_from="Demo <demo@example.com>",
    )


def _key(number: int) -> str:
    return base64.urlsafe_b64encode(bytes([number]) * 32).decode().rstrip("=")


def disconnect(app: Flask) -> None:
    """Close its connections to the database."""
    with app.app_context():
        db.engine.dispose()


def _take(browser: Browser, screen: Screen, picture: Picture, demo: Demo) -> Path:
    context = browser.new_context(
        viewport=screen.size,
        color_scheme=screen.scheme,
        locale="en-GB",
        java_script_enabled=picture.script,
        reduced_motion="reduce",
    )
    page = context.new_page()
    demo.rewind(NOW)
    demo.brand, demo.language = picture.brand, picture.language
    picture.open(page, demo)
    # A screen as high as the page, so that what sticks to its end is where the page has it.
    page.set_viewport_size({"width": screen.size["width"], "height": int(_whole(page)["height"])})
    path = FOLDER / f"{picture.key}-{screen.name}.webp"
    path.write_bytes(webp(page))
    context.close()
    return path


def webp(page: Page, highest: float = math.inf) -> bytes:
    """The page down to `highest`, not just what the screen shows; a sixth of what a PNG takes.

    What sticks to the edge of a screen would lie across the middle of the page: it stays
    in its place.
    """
    page.locator(".save-bar").evaluate_all("all => all.forEach(e => e.style.position = 'static')")
    session = page.context.new_cdp_session(page)
    wanted = {"format": "webp", "quality": QUALITY, "captureBeyondViewport": True}
    clip = _whole(page)
    clip["height"] = min(clip["height"], highest)
    answer = session.send("Page.captureScreenshot", wanted | {"clip": clip})
    return base64.b64decode(answer["data"])


def _whole(page: Page) -> dict[str, float]:
    height = page.locator("html").evaluate("html => html.scrollHeight")
    assert page.viewport_size
    return {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": height, "scale": 1}


def markdown() -> str:
    """The page that shows all pictures."""
    lines = ["# Pages", "", ABOUT]
    for picture in PICTURES:
        lines += ["", f"## {picture.title}", "", picture.about, ""]
        for screen in picture.screens:
            device, _, scheme = screen.name.partition("-")
            source = f"images/pages/{picture.key}-{screen.name}.webp"
            width = 180 if device == "phone" else 400
            alt = f"{device}, {scheme}"
            lines.append(f'<img src="{source}" alt="{alt}" width="{width}">')
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
