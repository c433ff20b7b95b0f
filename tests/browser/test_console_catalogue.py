"""The catalogue, senders and imports in the console, in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preference_center.core.staff import Role
from tests.browser.pressing import press
from tests.browser.test_console_requests import check, open_console
from tests.catalogue.console.test_previews import BRANDED
from tests.in_force import put_in_force
from workers import jobs

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask
    from playwright.sync_api import Browser


def test_the_catalogue_is_read_previewed_edited_and_applied(
    browser: Browser, app: Flask, site: str
) -> None:
    put_in_force(app, BRANDED)
    ada = open_console(browser, app, site, Role.ADMIN, "ada")
    for path in ("", "/topics", "/message-types", "/websites", "/privacy", "/versions"):
        ada.goto(f"/console/catalogue{path}")
        check(ada)
    ada.goto("/console/catalogue/preview?language=it")
    check(ada)
    frame = ada.frame_locator("iframe")
    assert "Ogni mese" in frame.locator("main").inner_text()
    frame.locator("main button").first.click()  # sends nothing: the frame allows no form
    assert "Ogni mese" in frame.locator("main").inner_text()

    ada.goto("/console/catalogue/edit")
    check(ada)
    ada.fill("#text", BRANDED.replace('class = "service"', 'class = "servce"', 1))
    ada.click("text=Check")
    check(ada)
    ada.click("main .problem a")
    assert "servce" in ada.inner_text(":target")
    ada.fill("#text", BRANDED.replace('en = "Every month"', 'en = "Each month"'))
    ada.click("text=Check")
    check(ada)
    assert "Each month" in ada.inner_text(".diff .added")
    press(ada.locator("text=Apply this version"))
    assert "is in force" in ada.inner_text("#result")
    press(ada.locator("main tbody tr:first-child td a"))
    assert "Each month" in ada.inner_text("main")
    check(ada)
    ada.context.close()


def test_a_list_is_imported_by_an_operator_who_also_makes_a_key(
    browser: Browser, app: Flask, site: str, tmp_path: Path
) -> None:
    put_in_force(app, BRANDED)
    file = tmp_path / "list.csv"
    file.write_text(
        "email,date,list\nada@example.com,13/04/2024,Weekly\nnobody,13/04/2024,Weekly\n"
    )
    grace = open_console(browser, app, site, Role.OPERATOR, "grace")
    grace.goto("/console/imports")
    check(grace)
    grace.click("text=Import a list")
    check(grace)
    grace.fill("#name", "Old tool")
    grace.select_option("#only", "opt-outs")
    grace.click("text=Go on to the file")
    check(grace)
    grace.set_input_files("#file", file)
    press(grace.locator("main button.primary"))
    import_id = grace.url.rpartition("/")[2]

    def work() -> None:
        with app.app_context():
            jobs.continue_import(import_id)
        grace.reload()

    check(grace)
    work()
    check(grace)
    grace.select_option("select[name=scope]", "all_marketing")
    press(grace.locator("text=Save, and read it again"))
    work()
    press(grace.locator("text=Read dates as"))
    work()
    check(grace)
    press(grace.locator("text=Apply it"))
    work()
    assert "opt-out all_marketing 1" in " ".join(grace.inner_text("main").split())
    grace.click("main a.button:has-text('Undo')")
    check(grace)
    press(grace.locator("text=Undo it"))
    work()
    assert "undone" in grace.inner_text("main")

    grace.goto("/console/senders/new")
    check(grace)
    grace.fill("#name", "shop")
    grace.check("[value=catalogue]")
    grace.click("text=Create the key")
    check(grace)
    assert grace.inner_text("main pre").startswith("pc_shop_")
    for path in ("", "/keys/shop", "/keys/shop/revoke", "/link-keys/new"):
        grace.goto(f"/console/senders{path}")
        check(grace)
    grace.context.close()
