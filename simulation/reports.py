"""How a tool reports what people do in it: signed webhooks, late, twice and out of order."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from preference_center.integrations.base.vendor_events import VendorEvent, VendorEventKind
from simulation.tools import Tool
from simulation.violation import Violation

_KEY = ec.derive_private_key(7, ec.SECP256R1())
KIND = "sendgrid"
SETTINGS = {
    "api_key": "none",
    "webhook_key": base64.b64encode(
        _KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode(),
}
_EVENTS = {
    VendorEventKind.OPTED_OUT: "group_unsubscribe",
    VendorEventKind.COMPLAINED: "spamreport",
    VendorEventKind.BOUNCED: "bounce",
    VendorEventKind.RESUBSCRIBED: "group_resubscribe",
}
AGAIN = timedelta(minutes=20)
"""After which it posts again what was refused."""
_DELAYS = (5, 60, 1800, 6 * 3600)


def report(tool: Tool, event: VendorEvent, client: Any) -> None:
    """Put it on the tool's list of opt-outs, and post it once or more, later."""
    random: Random = tool.random
    if event.kind is VendorEventKind.OPTED_OUT and tool.profile.capabilities.can_pull:
        tool.opt_out_events.append(event)
    if not tool.profile.posts:
        return
    body = _body(event, tool.profile.local)
    for _ in range(random.choice([1, 1, 2, 3])):
        delay = random.choice(_DELAYS) * random.random()
        tool.later(
            tool.clock() + timedelta(seconds=delay),
            f"{tool.name} posts {event.kind} {event.address} {event.target}",
            lambda: _post(tool, body, client),
        )


def _body(event: VendorEvent, local: float | None) -> bytes:
    assert event.occurred_at
    vendor_type = _EVENTS[event.kind]
    if event.kind is VendorEventKind.OPTED_OUT and event.target is None:
        vendor_type = "unsubscribe"
    row: dict[str, object] = {
        "email": event.address,
        "event": vendor_type,
        "timestamp": 0 if local is None else event.occurred_at.timestamp() + local,
        "sg_event_id": event.id,
    }
    if event.target is not None:
        row["asm_group_id"] = int(event.target)
    if event.kind is VendorEventKind.BOUNCED:
        row |= {"type": "bounce", "bounce_classification": "Invalid Address"}
    return json.dumps([row]).encode()


def _post(tool: Tool, body: bytes, client: Any) -> None:
    stamp = "1700000000"
    signature = _KEY.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
    answer = client.post(
        f"/in/{tool.name}",
        data=body,
        headers={
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
        },
    )
    if answer.status_code == 503 and tool.is_refused():
        again = tool.clock() + AGAIN
        tool.later(again, f"{tool.name} posts again", lambda: _post(tool, body, client))
    elif answer.status_code != 204:
        raise Violation(f"I1: {tool.name}'s webhook is answered {answer.status_code}")


def make_event(
    tool: Tool, kind: VendorEventKind, address: str, topic: str | None, number: int
) -> VendorEvent:
    """What a person did there just now, by the tool's own clock."""
    at: datetime = tool.clock() + timedelta(seconds=tool.profile.skew)
    return VendorEvent(
        kind,
        address,
        None if topic is None else tool.target_of(topic),
        occurred_at=at.replace(microsecond=0),
        id=f"{tool.name}-{kind}-{number}",
        by_person=kind is not VendorEventKind.BOUNCED,
    )
