"""The demo's two shops, which use the consent tool of a real service, for a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dev.maintenance.layout import ROOT
from preference_center.catalogue import catalogue_digest
from preference_center.catalogue.store import (
    clear_catalogue_cache,
    insert_version,
    load_current_text,
)
from preference_center.infra.db.transactions import run_autocommit, run_in_transaction

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request

    from dev.demo.states import Demo

ESSENTIAL = "only what the shop needs"
FUNCTIONAL = ("functional", "functional, in the page")
"""What the shops' dummies of a category log, in order."""
ADVERTISING = ("advertising",)
ALL = (*FUNCTIONAL, *ADVERTISING)
EXPECTED = "has been rejected for invalid domain"
"""What Firefox says where a cookie is deleted at domains that it can't be of."""
OPTIONAL_FILES = ("shop-functional.js", "shop-advertising.js", "shop-pixel.svg")

GPC = "Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })"
"""What browsers with the signal show to scripts; they also send `Sec-GPC: 1`."""


@dataclass(frozen=True)
class Shops:
    """The shops at `port`, and the service that they load the consent tool from."""

    port: int
    service: str
    catalogue: str

    @property
    def cascina(self) -> str:
        """The origin of the first."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def bottega(self) -> str:
        """The origin of the second, of another brand."""
        return f"http://localhost:{self.port}"

    def put_in_force(self, catalogue: str) -> None:
        """Change what the sites ask for."""
        now = datetime.now(UTC)
        run_in_transaction(lambda c: insert_version(c, catalogue, catalogue_digest(catalogue), now))
        clear_catalogue_cache()


def shops_of(demo: Demo) -> Shops:
    """The shops of `demo`, which goes by the browser's clock from now on."""
    demo.rewind(datetime.now(UTC))
    text = run_autocommit(load_current_text)
    assert text
    return Shops(demo.shops_port, demo.site, text)


@dataclass
class Visit:
    """A visit to a shop, with a log of what the page loaded and complained about."""

    page: Page
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Playwright takes no builtin.
        self.page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self._note(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._note(message.text)

    def _note(self, complaint: str) -> None:
        if EXPECTED not in complaint:
            self.complaints.append(complaint)

    @property
    def banner(self) -> Locator:
        return self.page.get_by_role("region", name="Cookies on this site")

    @property
    def saved(self) -> Locator:
        return self.page.get_by_role("status")

    @property
    def optional(self) -> list[str]:
        """The files of dummies that were loaded."""
        names = [request.url.rpartition("/")[2] for request in self.requests]
        return [name for name in names if name in OPTIONAL_FILES]

    def expect_ran(self, *dummies: str) -> None:
        """Wait until just these dummies have run on the page, in this order."""
        from playwright.sync_api import expect

        expect(self.page.locator("#ran li")).to_have_text([ESSENTIAL, *dummies])

    @property
    def cookies(self) -> list[str]:
        return sorted(cookie["name"] for cookie in self.page.context.cookies())

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def wait_for_choice(self) -> dict[str, Any]:
        """What the script says was chosen, as soon as it knows."""
        found = self.page.wait_for_function("preferenceCenter.consent.get()")
        choice: dict[str, Any] = found.json_value()
        return choice

    def open_page(self, shops: Shops, page: str, path: str = "/own", **options: Any) -> None:
        """Open this page at the origin of the first shop, with the tag of docs/cookies.md."""
        content = page.replace("</head>", f"{documented_tag(shops.service)}</head>")
        self.page.route(
            f"{shops.cascina}{path}",
            lambda route: route.fulfill(body=content, content_type="text/html; charset=utf-8"),
        )
        self.page.goto(f"{shops.cascina}{path}", **options)

    def settle(self) -> None:
        """Wait until the script has read its configuration and nothing more is loaded."""
        self.page.wait_for_load_state("networkidle")


def documented_tag(service: str, key: str = "cascina") -> str:
    """The tag of the script as docs/cookies.md has it."""
    text = (ROOT / "docs" / "cookies.md").read_text()
    found = re.search(r"^<script src=.*</script>$", text, re.MULTILINE)
    assert found
    tag = found[0].replace("https://preferences.example.com", service)
    return tag.replace('"shop"', f'"{key}"')


def page_with(style: str = "", head: str = "", body: str = "") -> str:
    """A page of a site's own, without a policy."""
    return (
        f"<!doctype html><html lang=en><head>{head}<style>{style}</style></head>"
        "<body><header><h1>Shop</h1></header><main><p>Flour and beans.</p>"
        f'{body}</main><footer><a href="/consent" data-consent-open>Cookie choices</a></footer>'
        "</body></html>"
    )


@contextmanager
def visiting(
    browser: Browser,
    url: str = "",
    *,
    gpc: bool = False,
    complains: bool = False,
    **options: Any,
) -> Iterator[Visit]:
    """A visit with a browser that knows nothing yet, and meets no fault of script or policy.

    Unless it `complains`, as of a request that fails.
    """
    headers = {"Sec-GPC": "1"} if gpc else {}
    context = browser.new_context(locale="en-GB", extra_http_headers=headers, **options)
    if gpc:
        context.add_init_script(GPC)
    visit = Visit(context.new_page())
    if url:
        visit.page.goto(url)
    yield visit
    context.close()
    assert complains or not visit.complaints, visit.complaints
