"""The script of the consent tool as it is served: small, cacheable, usable by other origins."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask.testing import FlaskClient

LIMIT = 16_000
"""Bytes with its styles."""
LIMIT_COMPRESSED = 6_400


def test_the_script_is_small_and_smaller_where_the_browser_takes_gzip(client: FlaskClient) -> None:
    with client.get("/consent.js") as plain:
        assert plain.status_code == 200
        assert plain.mimetype == "text/javascript"
        assert plain.headers["Vary"] == "Accept-Encoding"
        assert 0 < len(plain.data) <= LIMIT
    with client.get("/consent.js", headers={"Accept-Encoding": "br, gzip"}) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert len(packed.data) <= LIMIT_COMPRESSED
        assert gzip.decompress(packed.data) == plain.data
        assert packed.headers["ETag"] != plain.headers["ETag"]


def test_pages_of_other_origins_may_load_and_keep_it(client: FlaskClient) -> None:
    with client.get("/consent.js") as response:
        headers = response.headers
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "public, max-age=3600"
    with client.get("/consent.js", headers={"If-None-Match": headers["ETag"]}) as again:
        assert again.status_code == 304
        assert again.data == b""


def test_the_script_names_no_other_host_and_keeps_nothing_in_the_browser(
    client: FlaskClient,
) -> None:
    with client.get("/consent.js") as response:
        source = response.get_data(as_text=True)
    assert "//" not in source.replace(" // ", "")  # neither http:// nor //host
    for name in ("localStorage", "sessionStorage", "indexedDB", "innerHTML", "eval("):
        assert name not in source
