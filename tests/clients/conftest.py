"""The service on a port, as the tests of the clients are told of it."""

# ruff: noqa: F401, F811 - a fixture of another folder is imported by name

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import LinkTopic
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys.link_keys import create_link_key
from tests.browser.conftest import site
from tests.clock import START, Clock
from tests.in_force import put_in_force
from tests.web.api.sender import make_sender

if TYPE_CHECKING:
    from flask import Flask

LINK_TOPICS = ("acme.offers", ALL_MARKETING)


@pytest.fixture
def service_environ(app: Flask, site: str) -> dict[str, str]:
    """Environment variables for the tests of a client: where the service is, and its keys."""
    put_in_force(app)
    limited = make_sender(app, "limited", ["check"], ["offers.weekly"])
    return {
        "PATH": os.environ["PATH"],
        "PREFERENCE_CENTER_URL": site,
        "PREFERENCE_CENTER_KEY": make_sender(app).key,
        "PREFERENCE_CENTER_LIMITED_KEY": limited.key,
        "PREFERENCE_CENTER_LINK_KEY": _make_link_key(app, site),
    }


@pytest.fixture
def readme_environ(service_environ: dict[str, str], clock: Clock) -> dict[str, str]:
    """The same by the names of the READMEs, whose examples go by the real clock."""
    clock.now = datetime.now(UTC)
    return {
        "PATH": os.environ["PATH"],
        "PREFERENCES_URL": service_environ["PREFERENCE_CENTER_URL"],
        "PREFERENCES_KEY": service_environ["PREFERENCE_CENTER_KEY"],
        "LINK_KEY": service_environ["PREFERENCE_CENTER_LINK_KEY"],
    }


def _make_link_key(app: Flask, site: str) -> str:
    """A key that makes links offline, which lead to the port of this test."""
    with app.app_context():
        key = run_in_transaction(
            lambda c: create_link_key(c, "shop", services().links.newest_key_id, LINK_TOPICS, START)
        )
        topics = [LinkTopic(topic, Channel.EMAIL, site) for topic in LINK_TOPICS]
        return services().links.export_sender_key(key, topics)
