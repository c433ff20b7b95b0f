"""Which modules an opt-out, a decision and a push pass through on their way to SQL and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bench import ground
from bench.draining import connect_to_sink
from dev.engines import Engines
from dev.maintenance.house import Trace
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import Link
from preference_center.destinations.push import sync
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import keys
from preference_center.web.api.keys import KeyScope


def traces(engines: Engines) -> Mapping[str, str]:
    """Per request, a line about its way. The first of each kind fills caches and is left out."""
    with ground.ground(engines) as here:
        ground.hush()
        destination = ground.add_destination("tool", "webhook")
        client, now = here.app.test_client(), datetime.now(UTC)
        key = run_in_transaction(
            lambda c: keys.create_key(c, "trace", [KeyScope.CHECK], [ground.MESSAGE_TYPE], now)
        )
        connect = connect_to_sink(here)

        def opt_out(name: str) -> None:
            address = parse_address(f"{name}@example.com", Channel.EMAIL)
            token = services().links.create_token(Link(address, ground.TOPIC, "", now))
            answer = client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
            assert answer.status_code == 200, answer.status_code

        def decision() -> None:
            answer = client.post(
                "/v1/decisions",
                json={"recipient": "ada@example.com", "message_type": ground.MESSAGE_TYPE},
                headers={"Authorization": f"Bearer {key}"},
            )
            assert answer.status_code == 200, answer.text

        def push() -> None:
            until = datetime.now(UTC) + timedelta(minutes=1)
            assert sync(destination, connect, until=until, stop=lambda: False) == 1

        opt_out("first")
        decision()
        push()
        return {
            "way of an opt-out": str(Trace().of(lambda: opt_out("second"))),
            "way of a decision": str(Trace().of(decision)),
            "way of a push": str(Trace().of(push)),
        }
