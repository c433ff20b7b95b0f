"""Webhook: a signed POST per batch to a receiver of the company's own.

Standard Webhooks 1.0.0 (https://www.standardwebhooks.com); the form is in docs/webhook.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

from standardwebhooks.webhooks import Webhook as Signer

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Scopes
from preference_center.domain.sync.contract import Item, Outcome, Reason, Result
from preference_center.integrations.base.bisecting import push_isolating
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import DeliveryError, Gone, Setup
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.mapping import ensure_fits
from preference_center.integrations.base.signatures import is_secret
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.base.ssrf import ForbiddenTarget, vet_url, vetted_addresses

_GONE = 410


class Webhook:
    """One receiver's URL."""

    kind: ClassVar[str] = "webhook"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset(Channel),
        scopes=frozenset(Scopes),
        can_lift=True,
        batch_size=500,
        needs_mapping=False,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "url": "https URL of the receiver, on port 443 or 8443 of a public host",
        "secret": "whsec_ and 24 to 64 bytes in base64; several, separated by spaces, "
        "while one replaces another: each signs",
    }

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http

    def check(self) -> Report:
        """See Connector. Nothing is sent: a POST would be news to the receiver."""
        problems = [
            f"secret {number} is not whsec_ and 24 to 64 bytes in base64: make a new one"
            for number, secret in enumerate(self._secrets(), start=1)
            if not is_secret(secret)
        ]
        if not self._secrets():
            problems.append("no secret is set: make one, and give it to the receiver")
        url, allow_private = self._setup.settings["url"], self._http.allow_private
        try:
            parts = vet_url(url, allow_private=allow_private)
            host, port = parts.hostname or "", parts.port or 443
            vetted_addresses(host, port, self._http.resolve, allow_private=allow_private)
        except ForbiddenTarget as error:
            problems.append(f"url: {error}")
        except OSError:
            problems.append("url: the host has no address: check its name")
        return Report(tuple(problems))

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. A 2xx takes the whole batch, anything else none of it.

        A batch that is rejected for its content is halved. Raises Gone for a 410.
        """
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        return push_isolating(batch, self._push)

    def _push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        body = self._body(batch)
        name = message_id(self._setup.name, body)
        origin, path = _split(self._setup.settings["url"])
        with self._http.session(self._setup.name, origin) as session:
            answer = session.send(
                "POST",
                "the receiver's URL",
                exact=path,
                body=body.encode(),
                headers={
                    "Content-Type": "application/json",
                    **self._signature_headers(name, body),
                },
                allow={_GONE},
            )
        if answer.status == _GONE:
            raise Gone(f"{self._setup.name}: the receiver answered 410, it wants no more")
        return {item.ref: Outcome(Result.REFLECTED, f"{name} {answer.status}") for item in batch}

    def _secrets(self) -> list[str]:
        return self._setup.settings["secret"].split()

    def _signature_headers(self, name: str, body: str) -> dict[str, str]:
        now, secrets = self._http.now(), self._secrets()
        if not secrets or not all(map(is_secret, secrets)):
            raise DeliveryError(f"{self._setup.name}: a secret can't be used", permanent=True)
        signatures = [Signer(secret).sign(name, now, body) for secret in secrets]
        return {
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    def _body(self, batch: Sequence[Item]) -> str:
        names = self._setup.topics
        newest = max((item.since for item in batch if item.since), default=None)
        # Claimed rows come in any order, and a retry is to have the same body.
        ordered = sorted(batch, key=lambda item: item.ref)
        payload = {
            "type": "preferences.changed",
            "timestamp": newest.isoformat() if newest else None,
            "data": {"items": [_item(item, names) for item in ordered]},
        }
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def message_id(destination: str, body: str) -> str:
    """The webhook-id: the same for every retry of the same states, and for no others."""
    digest = hashlib.sha256(json.dumps([destination, body]).encode()).digest()
    return "msg_" + base64.urlsafe_b64encode(digest[:18]).decode()


def _item(item: Item, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "address": item.address,
        "channel": item.channel.value,
        "off": sorted(names.get(topic, topic) for topic in item.off),
        "lift": sorted(names.get(topic, topic) for topic in item.lift),
        "all_off": item.all_off,
        "version": item.version,
        "since": item.since.isoformat() if item.since else None,
        "reasons": {
            names.get(topic, topic): _reason(reason)
            for topic, reason in sorted(item.reasons.items())
        },
    }


def _reason(reason: Reason) -> dict[str, str | None]:
    return {
        "rule": reason.rule,
        "scope": reason.scope,
        "event": str(reason.event),
        "since": reason.since.isoformat(),
        "until": reason.until.isoformat() if reason.until else None,
    }


def _split(url: str) -> tuple[str, str]:
    """Origin, and path with query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", urlunsplit(
        ("", "", parts.path or "/", parts.query, "")
    )


ENTRY = Entry(
    kind=Webhook.kind,
    title="Webhook",
    proof=Proof.REAL,
    against="a receiver of Standard Webhooks 1.0.0; with every test run",
    capabilities=Webhook.capabilities,
    own_settings=Webhook.settings,
    secrets=frozenset({"secret"}),
    sources=(
        "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    ),
    build=Webhook,
)
