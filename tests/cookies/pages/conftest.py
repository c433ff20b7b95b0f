"""A site with all three categories, and one with nothing optional."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.cookies.pages.shop import SITES
from tests.in_force import put_in_force
from tests.web.pages.fixtures import CATALOGUE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

Choose = Callable[..., "TestResponse"]


@pytest.fixture
def app(app: Flask) -> Flask:
    """The service with these sites."""
    put_in_force(app, CATALOGUE + SITES)
    return app


@pytest.fixture
def choose(client: FlaskClient) -> Choose:
    """`choose(method, functional=..., advertising=..., headers=..., **members)`: POST a choice."""

    def post(
        method: str = "choose",
        *,
        functional: bool = False,
        advertising: bool = False,
        headers: dict[str, str] | None = None,
        site: str = "shop",
        **members: Any,
    ) -> TestResponse:
        body = {
            "choices": {"functional": functional, "advertising": advertising},
            "method": method,
            "version": config(client)["version"],
            "language": "en",
            **members,
        }
        return client.post(f"/consent/{site}", json=body, headers=headers)

    return post


def config(client: FlaskClient, query: str = "", site: str = "shop") -> dict[str, Any]:
    found = client.get(f"/consent/{site}/config.json{query}").get_json()
    assert isinstance(found, dict)
    return found
