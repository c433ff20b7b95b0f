"""The pages of rights, for `dev.maintenance.screenshots`: how to get to each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.demo.states import Demo
from dev.maintenance.pictures import PHONE, Picture, Screen, press
from preference_center.infra.outbox import EmailKind

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCREENS = (Screen("phone-light", PHONE, "light"),)
"""One of the four: they have the same style as the others, and pictures take space."""


def _open(path: str, page: Page, demo: Demo) -> None:
    page.goto(f"{demo.site}{path}?lang={demo.language}")


def _visit(act: str, page: Page, demo: Demo, more: str = "") -> None:
    page.goto(f"{demo.visit_url(f'rights/{act}' if act else 'rights')}{more}")


def _list(page: Page, demo: Demo) -> None:
    _open("/rights", page, demo)


def _identify(page: Page, demo: Demo) -> None:
    _open("/rights/erase", page, demo)


def _send(page: Page, address: str) -> None:
    page.locator("#address").fill(address)
    press(page, page.locator("main form button"))


def _sent(page: Page, demo: Demo) -> None:
    _identify(page, demo)
    _send(page, "ada@example.com")


def _opened(page: Page, demo: Demo) -> None:
    _identify(page, demo)
    _send(page, new := demo.new_address())
    page.goto(f"{demo.link_mailed_to(new)}?lang={demo.language}")


def _access(page: Page, demo: Demo) -> None:
    _visit("access", page, demo)


def _file(page: Page, demo: Demo) -> None:
    _access(page, demo)
    press(page, page.locator("main form button"))
    demo.build_access_files()
    page.reload()


def _correct(page: Page, demo: Demo) -> None:
    _visit("correct", page, demo)


def _new_address(page: Page, demo: Demo) -> None:
    _visit("correct", page, demo, "&what=address")


def _confirm_address(page: Page, demo: Demo) -> None:
    _new_address(page, demo)
    _send(page, new := demo.new_address())
    page.goto(f"{demo.link_mailed_to(new)}?lang={demo.language}")


def _this_was_not_me(page: Page, demo: Demo) -> None:
    _new_address(page, demo)
    old = demo.newest_address
    _send(page, new := demo.new_address())
    page.goto(f"{demo.link_mailed_to(new)}?lang={demo.language}")
    press(page, page.locator("main form button"))
    page.goto(f"{demo.link_mailed_to(old, EmailKind.ADDRESS_MOVED)}?lang={demo.language}")


def _erase(page: Page, demo: Demo) -> None:
    _visit("erase", page, demo)


def _erase_confirm(page: Page, demo: Demo) -> None:
    _erase(page, demo)
    page.locator("#extent-marketing").check()
    press(page, page.locator("main form button"))


def _erased(page: Page, demo: Demo) -> None:
    _erase_confirm(page, demo)
    press(page, page.locator("main form button"))


def _restrict(page: Page, demo: Demo) -> None:
    _visit("restrict", page, demo)


def _close(page: Page, demo: Demo) -> None:
    _visit("close", page, demo)


def _object(page: Page, demo: Demo) -> None:
    _open("/rights/object", page, demo)


def _dont_sell(page: Page, demo: Demo) -> None:
    _open("/rights/dont_sell_or_share", page, demo)


def _complaint(page: Page, demo: Demo) -> None:
    _open("/rights/complaint", page, demo)


def _status(page: Page, demo: Demo) -> None:
    _object(page, demo)
    page.locator("#address").fill("ada@example.com")
    page.locator("#text").fill("No more, please.")
    press(page, page.locator("main form button"))


def _reopen(page: Page, demo: Demo) -> None:
    _visit("reopen", page, demo)


def _agent(page: Page, demo: Demo) -> None:
    _visit("agent", page, demo)


def _authority(page: Page, demo: Demo) -> None:
    _agent(page, demo)
    page.locator("#name").fill("Data Rights Ltd")
    page.locator("#address").fill(new := demo.new_address())
    page.locator("input[value=access]").check()
    press(page, page.locator("main form button"))
    page.goto(f"{demo.link_mailed_to(new)}?lang={demo.language}")


def _minor(page: Page, demo: Demo) -> None:
    _open("/rights/minor", page, demo)


def _reported(page: Page, demo: Demo) -> None:
    _minor(page, demo)
    _send(page, new := demo.new_address())
    page.goto(f"{demo.link_mailed_to(new)}?lang={demo.language}")


RIGHTS_PICTURES = (
    Picture("rights", "Your data and your rights", "The list, for everybody.", _list, SCREENS),
    Picture(
        "rights-identify", "Making sure who asks", "Before what needs proof.", _identify, SCREENS
    ),
    Picture("rights-sent", "A link is on its way", "The same for every address.", _sent, SCREENS),
    Picture("rights-open", "The mailed link", "Its button uses it up.", _opened, SCREENS),
    Picture("rights-access", "See and download", "What is in the file.", _access, SCREENS),
    Picture("rights-file", "The file is ready", "For seven days.", _file, SCREENS),
    Picture("rights-correct", "Correct", "One question a page.", _correct, SCREENS),
    Picture("rights-new-address", "A new address", "It gets a link.", _new_address, SCREENS),
    Picture(
        "rights-address", "Confirm the new address", "The link to it.", _confirm_address, SCREENS
    ),
    Picture(
        "rights-undo", "This wasn't me", "The notice to the old address.", _this_was_not_me, SCREENS
    ),
    Picture("rights-erase", "Delete", "First step: how much.", _erase, SCREENS),
    Picture(
        "rights-erase-confirm",
        "Delete: what goes and stays",
        "Second step.",
        _erase_confirm,
        SCREENS,
    ),
    Picture("rights-erased", "Deleted", "The status page, with each tool.", _erased, SCREENS),
    Picture("rights-restrict", "Limit", "What it means.", _restrict, SCREENS),
    Picture("rights-close", "Close the account", "What is lost and kept.", _close, SCREENS),
    Picture("rights-object", "Object", "In one's own words, or none.", _object, SCREENS),
    Picture(
        "rights-dont-sell", "Do not sell or share", "One button, for anybody.", _dont_sell, SCREENS
    ),
    Picture("rights-status", "How far a request is", "After an objection.", _status, SCREENS),
    Picture("rights-complaint", "Complain", "And to whom else.", _complaint, SCREENS),
    Picture("rights-reopen", "Come back", "After a deletion.", _reopen, SCREENS),
    Picture("rights-agent", "Act for somebody else", "An agent's form.", _agent, SCREENS),
    Picture("rights-authority", "Does somebody act for you?", "The answer.", _authority, SCREENS),
    Picture("rights-minor", "Report a child's address", "For anybody.", _minor, SCREENS),
    Picture(
        "rights-reported", "Is this a child's address?", "The notice's page.", _reported, SCREENS
    ),
)
"""Every page of a right. Others of the same kind look like these."""
