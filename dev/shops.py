"""Two made-up shops of `make run` that use the consent tool, as a company's own sites would.

`granian --interface wsgi dev.shops:app` with PUBLIC_URL set. One process serves both: 127.0.0.1 is
the shop of one brand, localhost that of the other, since cookies know hosts but no ports. The
endpoint is the one of `deploy/consent/wsgi.py`. What they run after consent only logs.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from flask import Flask, Response, abort, render_template, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wsgi import get_host

from deploy.consent.wsgi import ConsentEndpoint

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PUBLIC_URL = "PUBLIC_URL"
"""Environment variable: where the service is."""
HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Shop:
    """One shop: its key among the `sites` of the catalogue, and what its pages say."""

    key: str
    name: str
    goods: str
    story: str


SHOPS = dict(
    zip(
        HOSTS,
        (
            Shop(
                "cascina",
                "Cascina Aurora",
                "Flour, beans and cheese from the hills above Pinerolo, delivered weekly.",
                "In March we sow the chickpeas; the first lambs are out on the meadow.",
            ),
            Shop(
                "bottega",
                "Aurora's Corner Shop",
                "Everything for the table: pasta, oil, preserves, and the good olives.",
                "How our neighbour makes mostarda, and why it takes her four days.",
            ),
        ),
        strict=True,
    )
)


class Page(NamedTuple):
    """A page of a shop: its path, and its title."""

    path: str
    title: str


PAGES = (Page("/", "Shop"), Page("/journal", "Journal"))


def create_app(service: str, timeout: float = 3) -> Flask:
    """The shops, with the consent tool of the `service` at this URL."""
    app = Flask("shops", root_path=os.path.dirname(__file__))  # noqa: PTH120 - wants a string

    def show() -> Response:
        page = next(page for page in PAGES if page.path == request.path)
        nonce = secrets.token_urlsafe(12)
        language = request.args.get("lang", "en")
        values = {"shop": _shop(), "page": page, "pages": PAGES, "language": language}
        text = render_template("shop.html", service=service, nonce=nonce, **values)
        return Response(text, headers={"Content-Security-Policy": _policy(service, nonce)})

    for page in PAGES:
        app.add_url_rule(page.path, page.title, show)
    mounted = DispatcherMiddleware(app.wsgi_app, {"/consent": _endpoints(service, timeout)})
    app.wsgi_app = mounted  # type: ignore[method-assign]
    return app


def _shop() -> Shop:
    return SHOPS.get(request.host.partition(":")[0]) or abort(404)


def _policy(service: str, nonce: str) -> str:
    """No inline styles, no other hosts: what docs/cookies.md says a strict policy needs."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}' {service}; style-src 'self';"
        f" img-src 'self' data:; connect-src 'self' {service}; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    )


def _endpoints(service: str, timeout: float) -> WSGIApplication:
    """The endpoint of each shop, by its host."""
    by_host = {
        host: ConsentEndpoint(f"{service}/consent/{shop.key}", timeout)
        for host, shop in SHOPS.items()
    }
    return lambda environ, start_response: by_host[get_host(environ).partition(":")[0]](
        environ, start_response
    )


if PUBLIC_URL in os.environ:
    app = create_app(os.environ[PUBLIC_URL])
