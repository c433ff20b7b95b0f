"""What a screen reader has of a page: the order, the names, the states and what is announced.

The tree is the browser's own. A line of a snapshot matches if the page has it, in this order;
what is left out between two lines may be anything.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from dev.demo.states import Demo
from dev.maintenance.pictures import press
from dev.maintenance.screenshots import NOW, PICTURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


PAGES = {picture.key: picture for picture in PICTURES}

UNSUBSCRIBE = """
- banner:
  - img "Cascina Aurora"
  - navigation "Language"
- main:
  - heading "Unsubscribe from “The farm journal”?" [level=1]
  - button "Unsubscribe"
  - button "Stop all marketing"
  - paragraph:
    - link "Choose what you receive"
- contentinfo:
  - heading "How to reach us" [level=2]
"""
UNSUBSCRIBED = """
- main:
  - status:
    - heading "You are unsubscribed" [level=1]
    - button "Undo"
  - heading "Stop all our marketing?" [level=2]
  - button "Stop all marketing"
  - heading "Why are you leaving? (optional)" [level=2]
  - combobox "Why are you leaving? (optional)"
  - paragraph:
    - link "Track my unsubscribe request"
"""
PREFERENCES = """
- main:
  - heading "What you receive" [level=1]
  - button "Stop all marketing"
  - heading "Cascina Aurora" [level=2]
  - group "News and inspiration":
    - checkbox "The farm journal" [checked]
  - heading "Aurora's Corner Shop" [level=2]
  - group "Offers and promotions":
    - checkbox "Products like those you bought" [checked]
  - heading "Pause" [level=2]
  - group "All marketing":
    - radio "No pause" [checked]
    - radio "7 days"
  - button "Save"
"""
SAVED = """
- main:
  - status:
    - heading "Saved" [level=2]
    - paragraph:
      - strong: Products like those you bought
    - button "Undo"
  - heading "What you receive" [level=1]
  - group "News and inspiration":
    - checkbox "The farm journal" [checked]
  - group "Offers and promotions":
    - checkbox "Products like those you bought" [checked=false]
"""
RECEIPT = """
- main:
  - heading "Track my unsubscribe request" [level=1]
  - heading "All marketing" [level=2]
  - list:
    - listitem:
      - heading "Received" [level=3]
    - listitem:
      - heading "In force" [level=3]
    - listitem:
      - heading "Customer service" [level=3]
  - heading "Your receipt" [level=2]
"""
ERROR = """
- main:
  - alert:
    - heading "There is a problem" [level=2]
    - list:
      - listitem:
        - link /Enter an email address/:
          - /url: "#address"
  - heading "Choose what you receive" [level=1]
  - textbox "Your email address" [invalid]: ada
  - button "Email me a link"
"""


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    """An English phone without JavaScript."""
    demo.language, demo.brand = "en", "cascina"
    demo.rewind(NOW)
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(
    "key, title, tree",
    [
        ("unsubscribe", "Unsubscribe", UNSUBSCRIBE),
        ("done", "Unsubscribed: The farm journal", UNSUBSCRIBED),
        ("preferences", "What you receive", PREFERENCES),
        ("saved", "Saved: What you receive", SAVED),
        ("where", "Track my unsubscribe request", RECEIPT),
    ],
)
def test_a_page_is_read_in_the_order_in_which_it_is_seen(
    page: Page, demo: Demo, key: str, title: str, tree: str
) -> None:  # C8: 1.3.1, 1.3.2, 4.1.2
    from playwright.sync_api import expect

    PAGES[key].open(page, demo)
    assert page.title().startswith(title)  # what is read first
    expect(page.locator("body")).to_match_aria_snapshot(tree)


@pytest.mark.parametrize("key", ["done", "saved", "asked", "undone"])
def test_the_result_of_a_press_has_the_focus_and_is_announced(
    page: Page, demo: Demo, key: str
) -> None:  # 4.1.3
    PAGES[key].open(page, demo)
    focused = page.locator(":focus")
    assert focused.get_attribute("id") == "result"
    assert focused.get_attribute("role") == "status"
    assert page.get_by_role("status").count() == 1


def test_an_error_is_announced_first_and_tied_to_its_field(
    page: Page, demo: Demo
) -> None:  # 3.3.1, 3.3.3
    from playwright.sync_api import expect

    page.goto(f"{demo.site}/form?lang=en")
    page.get_by_label("Your email address").fill("ada")
    press(page, page.get_by_role("button", name="Email me a link"))
    assert page.title().startswith("Error: ")
    expect(page.locator("body")).to_match_aria_snapshot(ERROR)
    field = page.get_by_role("textbox", name="Your email address")
    expect(field).to_have_accessible_description(
        "Error: Enter an email address like name@example.com. Nothing was sent."
        " We email you a link. It works once, within 24 hours."
    )
    page.get_by_role("alert").get_by_role("link").click()
    expect(field).to_be_focused()


# What is drawn by a script is a banner on somebody's page: tests/browser/test_consent_*.py.
WHOLE_PAGES = [key for key, each in PAGES.items() if "rights" not in key and not each.script]


@pytest.mark.parametrize("key", WHOLE_PAGES)
def test_a_page_has_one_main_heading_and_skips_no_level(
    page: Page, demo: Demo, key: str
) -> None:  # 1.3.1, 2.4.6
    PAGES[key].open(page, demo)
    levels = page.locator(":is(h1, h2, h3, h4):visible").evaluate_all(
        "all => all.map(e => Number(e.localName[1]))"
    )
    assert levels.count(1) == 1
    below = levels[levels.index(1) :]
    assert all(after - before <= 1 for before, after in pairwise(below))
