"""Which sites may frame which pages, and the cookie in such a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.in_force import put_in_force
from tests.web.pages.fixtures import CATALOGUE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

SHOP = "https://www.acme.example"
OTHER = "https://www.other.example"
BRANDS = (
    CATALOGUE.replace(
        'name = "Acme"\n',
        f'name = "Acme"\nhost = "p.acme.example"\nframe_origins = ["{SHOP}"]\n',
        1,
    )
    + f"""
[brands.other]
name = "Other"
frame_origins = ["{OTHER}"]
"""
)
ACME = "https://p.acme.example"
DEFAULT = "https://preferences.example.com"


@pytest.fixture(autouse=True)
def _two_brands(app: Flask) -> None:
    put_in_force(app, BRANDS)


def ancestors(client: FlaskClient, path: str, site: str) -> str:
    policy = client.get(path, base_url=site).headers["Content-Security-Policy"]
    return policy.partition("frame-ancestors ")[2].partition(";")[0]


@pytest.mark.parametrize("page", ["p", "u", "w"])
def test_each_host_is_framed_by_the_origins_of_its_brand_only(
    client: FlaskClient, token: str, page: str
) -> None:
    assert ancestors(client, f"/{page}/{token}", ACME) == SHOP
    assert ancestors(client, f"/{page}/{token}", DEFAULT) == OTHER


@pytest.mark.parametrize("path", ["/rights", "/rights/erase", "/m/broken", "/c/broken", "/nowhere"])
def test_rights_and_emailed_links_are_framed_nowhere(client: FlaskClient, path: str) -> None:
    assert ancestors(client, path, ACME) == "'none'"


def test_without_origins_nothing_may_frame_a_page(
    app: Flask, client: FlaskClient, token: str
) -> None:
    put_in_force(app, CATALOGUE)
    assert ancestors(client, f"/p/{token}", DEFAULT) == "'none'"


def cookie_of(app: Flask, token: str, **headers: str) -> str:
    """The cookie that a browser without one gets."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = app.test_client().get(f"/p/{token}", base_url=ACME, headers=given)
    return answer.headers["Set-Cookie"]


def test_only_in_a_frame_the_cookie_crosses_sites_and_stays_with_one(
    app: Flask, proven: str
) -> None:
    framed = cookie_of(app, proven, Sec_Fetch_Dest="iframe")
    assert "SameSite=None" in framed
    assert "Secure" in framed
    assert "Partitioned" in framed
    alone = cookie_of(app, proven, Sec_Fetch_Dest="document")
    assert "SameSite=Lax" in alone
    assert "Partitioned" not in alone


def test_where_no_origin_is_named_the_cookie_crosses_nothing(app: Flask, proven: str) -> None:
    put_in_force(app, CATALOGUE)
    assert "SameSite=Lax" in cookie_of(app, proven, Sec_Fetch_Dest="iframe")
