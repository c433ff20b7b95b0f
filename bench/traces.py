"""Which modules an opt-out, a decision, an erasure and a tool's webhook pass through."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from flask.testing import FlaskClient

from bench import ground, inbound
from bench.load import Request
from dev.engines import Engines
from dev.maintenance.house import Trace
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import Link, TokenPurpose
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import keys
from preference_center.web.api.keys import KeyScope
from workers import jobs

_FILES = 6
"""Of two opt-outs, and of two erasures, each after one more opt-out."""
_HIDDEN = re.compile(r'type="hidden" name="(csrf_token|state)" value="([^"]*)"')


def traces(engines: Engines) -> Mapping[str, str]:
    """Per flow, a line about its way. The first of each kind fills caches and is left out."""
    with ground.ground(engines) as here, here.app.app_context(), TemporaryDirectory() as folder:
        ground.hush()
        client = here.app.test_client()
        file_drop = ground.add_destination("warehouse", "file_drop", {"folder": folder})
        sender = inbound.connected()
        flows: Mapping[str, list[Callable[[str], None]]] = {
            "one-click opt-out, to its push": [
                partial(_opt_out, client),
                lambda _: jobs.sync(file_drop),
            ],
            "decision": [partial(_decide, client, _make_key())],
            "erasure, from the page to the tool": [
                partial(_erase, client),
                lambda _: jobs.sync(file_drop),  # a tool erases whom it has suppressed
                lambda _: jobs.erase(file_drop),
            ],
            "webhook of a tool": [
                lambda _: _post(client, sender.requests(1, 1)[0]),
                lambda _: jobs.process_webhooks(sender.number),
            ],
        }
        found = {}
        for name, steps in flows.items():
            for step in steps:
                step("first")
            found[name] = str(Trace().of(*(partial(step, "second") for step in steps)))
        if len([*Path(folder).iterdir()]) != _FILES:
            raise RuntimeError("an opt-out or an erasure has not reached the tool")
        return found


def _make_key() -> str:
    now, scopes = datetime.now(UTC), [KeyScope.CHECK]
    return run_in_transaction(
        lambda c: keys.create_key(c, "trace", scopes, [ground.MESSAGE_TYPE], now)
    )


def _opt_out(client: FlaskClient, name: str) -> None:
    address = parse_address(f"{name}@example.com", Channel.EMAIL)
    link = Link(address, ground.TOPIC, "", datetime.now(UTC))
    token = services().links.create_token(link)
    answer = client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200, answer.status_code


def _decide(client: FlaskClient, key: str, name: str) -> None:
    answer = client.post(
        "/v1/decisions",
        json={"recipient": f"{name}@example.com", "message_type": ground.MESSAGE_TYPE},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 200, answer.text


def _erase(client: FlaskClient, name: str) -> None:
    """Press the two buttons of the page, with a link that proves that the address is one's own."""
    now, address = datetime.now(UTC), parse_address(f"{name}@example.com", Channel.EMAIL)
    token = services().links.create_one_time_token(
        TokenPurpose.PAGE_VISIT, address, services().new_id(), now
    )
    path, extent = f"/rights/erase/{token}", {"extent": "marketing"}
    hidden = dict(_HIDDEN.findall(client.post(path, data=extent).text))
    answer = client.post(path, data=extent | hidden | {"confirm": "yes"})
    assert answer.status_code == 303, answer.status_code


def _post(client: FlaskClient, request: Request) -> None:
    answer = client.post(
        request.path,
        data=request.body,
        headers=request.headers,
        content_type=request.content_type,
    )
    assert answer.status_code < 300, answer.status_code
