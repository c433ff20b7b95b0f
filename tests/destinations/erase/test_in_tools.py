"""People who are erased here are suppressed in each tool, and then erased there (GDPR art. 19).

From the request to the read-back, with the connectors themselves and the tools' stand-ins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from preference_center.contacts.rules.contact import ContactRef
from preference_center.destinations.connect import connect
from preference_center.destinations.erase import erase_due
from preference_center.destinations.push import sync
from preference_center.destinations.set_up import add_destination, resume_destination
from preference_center.destinations.store import destinations
from preference_center.destinations.validate import DestinationRequest
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.erasure.erase import erase_contacts
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.destinations.erasing_tool import task
from tests.destinations.rate_limits import wait_for_no_rate_limit
from tests.destinations.steps import ANNA, BO, TOPIC, outcomes, person
from tests.integrations.tools import customerio, salesforce
from tests.integrations.tools.braze import KEY as BRAZE_KEY
from tests.integrations.tools.braze import BrazeStandIn
from tests.integrations.tools.brevo import KEY as BREVO_KEY
from tests.integrations.tools.brevo import BrevoStandIn
from tests.integrations.tools.customerio import CustomerIoStandIn
from tests.integrations.tools.intercom import TOKEN as INTERCOM_TOKEN
from tests.integrations.tools.intercom import IntercomStandIn
from tests.integrations.tools.iterable import KEY as ITERABLE_KEY
from tests.integrations.tools.iterable import IterableStandIn
from tests.integrations.tools.klaviyo import KEY as KLAVIYO_KEY
from tests.integrations.tools.klaviyo import KlaviyoStandIn
from tests.integrations.tools.resend import KEY as RESEND_KEY
from tests.integrations.tools.resend import ResendStandIn
from tests.integrations.tools.salesforce import SalesforceStandIn
from tests.integrations.tools.stand_in import StandIn

pytestmark = pytest.mark.usefixtures("in_context")


@pytest.fixture(autouse=True)
def _no_rate_limit(app: Flask, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_for_no_rate_limit(app, redis_url, monkeypatch)


@dataclass(frozen=True)
class Tool:
    """One tool that knows Anna and Bo."""

    server: StandIn
    settings: Mapping[str, str]
    held: Callable[[], Any]
    """The addresses that it holds, in a container."""
    target: str = "11"
    finish: Callable[[], None] = field(default=lambda: None)
    """Do what the tool does later."""


@contextmanager
def klaviyo() -> Iterator[Tool]:
    with KlaviyoStandIn() as server:
        settings = {"api_key": KLAVIYO_KEY, "base_url": server.url}
        yield Tool(server, settings, lambda: server.profiles, finish=server.finish_deleting)


@contextmanager
def braze() -> Iterator[Tool]:
    with BrazeStandIn() as server:
        settings = {"api_key": BRAZE_KEY, "url": server.url}
        yield Tool(server, settings, lambda: server.users, finish=server.finish_deleting)


@contextmanager
def brevo() -> Iterator[Tool]:
    with BrevoStandIn() as server:
        settings = {"api_key": BREVO_KEY, "base_url": server.url}
        yield Tool(server, settings, lambda: server.contacts)


@contextmanager
def customerio_() -> Iterator[Tool]:
    with CustomerIoStandIn() as server:
        keys = {"api_key": customerio.KEY, "app_key": customerio.APP_KEY}
        settings = {"site_id": customerio.SITE, "base_url": server.url, **keys}
        finish = server.finish_suppressing
        yield Tool(server, settings, lambda: server.people, "topic_11", finish)


@contextmanager
def intercom() -> Iterator[Tool]:
    with IntercomStandIn() as server:
        settings = {"access_token": INTERCOM_TOKEN, "base_url": server.url}
        server.everybody = False
        yield Tool(server, settings, lambda: {c["email"] for c in server.contacts.values()})


@contextmanager
def iterable() -> Iterator[Tool]:
    with IterableStandIn() as server:
        settings = {"api_key": ITERABLE_KEY, "base_url": server.url}
        finish = server.finish_forgetting
        yield Tool(server, settings, lambda: server.users, "channel:11", finish)


@contextmanager
def resend() -> Iterator[Tool]:
    with ResendStandIn() as server:
        settings = {"api_key": RESEND_KEY, "base_url": server.url}
        yield Tool(server, settings, lambda: server.contacts)


@contextmanager
def salesforce_() -> Iterator[Tool]:
    with SalesforceStandIn() as server:
        app = {"client_id": salesforce.CLIENT, "client_secret": salesforce.SECRET}
        settings = {"url": server.url, "erase_records": "yes", **app}
        server.everybody = False
        yield Tool(
            server, settings, lambda: {row["Email"] for row in server.records}, salesforce.NEWS
        )


TOOLS = {
    "klaviyo": klaviyo,
    "braze": braze,
    "brevo": brevo,
    "customerio": customerio_,
    "intercom": intercom,
    "iterable": iterable,
    "resend": resend,
    "salesforce": salesforce_,
}


@pytest.fixture(autouse=True)
def _stand_ins_may_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTORS_ALLOW_PRIVATE", "1")


def set_up(kind: str, tool: Tool) -> int:
    """An active destination of this tool, which knows Anna and Bo."""
    if hasattr(tool.server, "strict"):
        tool.server.strict = True
    for address in (ANNA, BO):
        tool.server.add(address)  # type: ignore[attr-defined]
    request = DestinationRequest("mailer", kind, tool.settings, {TOPIC: tool.target}, frozenset())
    added = add_destination(request, "test")
    assert added.report.ok, added.report.problems
    resume_destination("mailer", "test")
    run_in_transaction(lambda c: destinations.mark_pulled(c, added.id, services().now()))
    return added.id


@pytest.mark.parametrize("kind", TOOLS)
def test_whoever_is_erased_here_is_suppressed_and_erased_there(kind: str, clock: Clock) -> None:
    with TOOLS[kind]() as tool:
        destination = set_up(kind, tool)
        origin = RequestOrigin("test", "test", services().now())
        erase_contacts([ContactRef(address=person(ANNA))], Extent.MARKETING, origin=origin)
        for _ in range(8):
            until = services().now() + timedelta(seconds=5)
            sync(destination, connect, until=until, stop=lambda: False)
            erase_due(destination, connect, until=until, stop=lambda: False)
            if task("outcome", ANNA):
                break
            tool.finish()
            clock.advance(timedelta(minutes=11))
        assert outcomes(ANNA)[0] == "reflected"
        assert task("outcome", ANNA) == "erased"
        assert task("suppressed_at", ANNA) <= task("erased_at", ANNA) <= task("confirmed_at", ANNA)
        assert ANNA not in tool.held()
        assert BO in tool.held()
