"""Webhook: a signed POST per batch to a receiver of the company's own.

Standard Webhooks 1.0.0 (https://www.standardwebhooks.com); the form is in docs/webhook.md.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from standardwebhooks.webhooks import Webhook as Signer

from preference_center.core.networks import InvalidNetworks, Network, parse_own_networks, split_url
from preference_center.integrations.base import runtime
from preference_center.integrations.base.network import (
    ForbiddenUrl,
    validate_url,
)
from preference_center.integrations.base.webhook import is_standard_secret

_STATUS_GONE = 410


class WebhookConnector:
    """One receiver's URL."""

    kind: ClassVar[str] = "webhook"
    capabilities: ClassVar[runtime.Capabilities] = runtime.Capabilities(
        channels=frozenset(runtime.Channel),
        scopes=frozenset(runtime.SupportedScope),
        can_lift=True,
        batch_size=500,
        needs_mapping=False,
        pushes_frequency=True,
        erase=runtime.EraseMode.KEEPS_OPT_OUT,
        erase_note="The receiver is sent a request of the type `contact.erased` (docs/webhook.md), "
        "deletes what it holds about the address, and keeps the opt-out.",
    )
    settings: ClassVar[Mapping[str, str]] = {
        "url": "https URL of the receiver, on port 443 or 8443 of a public host, or on any port in "
        "`private_networks`",
        "private_networks?": "networks inside the company in which the receiver may be, "
        "inside PRIVATE_NETWORKS",
        "secret": "whsec_ and 24 to 64 bytes in base64; several, separated by spaces, "
        "while one replaces another: each signs",
    }

    def __init__(self, config: runtime.DestinationConfig, http: runtime.HttpContext) -> None:
        self._config = config
        self._http = http

    def check(self) -> runtime.CheckReport:
        """See Connector. Connects as a push does, and sends nothing that would be processed."""
        problems = [
            f"secret {number} is not whsec_ and 24 to 64 bytes in base64: make a new one"
            for number, secret in enumerate(self._secrets(), start=1)
            if not is_standard_secret(secret)
        ]
        if not self._secrets():
            problems.append("no secret is set: make one, and give it to the receiver")
        url, allow_private = self._config.settings["url"], self._http.allow_private
        networks: tuple[Network, ...] = ()
        try:
            networks = self._networks()
            validate_url(url, allow_private=allow_private, allow_any_port=bool(networks))
            name, (origin, _) = self._config.name, split_url(url)
            with self._http.session(name, origin, networks=networks) as session:
                session.connect()
        except InvalidNetworks as error:
            problems.append(f"private_networks: {error}")
        except (ForbiddenUrl, runtime.DeliveryError) as error:
            is_forbidden = isinstance(error.__cause__ or error, ForbiddenUrl)
            inside = ". Inside the company's network it needs `private_networks`"
            text = str(error).removeprefix(f"{self._config.name}: ")
            problems.append(f"url: {text}{inside if is_forbidden and not networks else ''}")
        return runtime.CheckReport(tuple(problems))

    def push(self, batch: Sequence[runtime.PushItem]) -> Mapping[int, runtime.PushOutcome]:
        """See Connector. A 2xx accepts the whole batch, anything else none of it.

        A batch that is rejected for its content is halved. Raises EndpointGone for a 410.
        """
        if not batch:
            return {}
        runtime.validate_batch(batch, self._config, self.capabilities)
        return runtime.push_bisecting(batch, lambda items: self._send(items, self._body(items)))

    def erase(self, batch: Sequence[runtime.EraseItem]) -> Mapping[int, runtime.PushOutcome]:
        """See SupportsErase. A 2xx says that the receiver has stored the whole batch."""
        if not batch:
            return {}
        items = [runtime.PushItem(item.ref, item.address, item.channel) for item in batch]
        runtime.validate_batch(items, self._config, self.capabilities)
        requests = {item.ref: item.request for item in batch}

        def send(part: Sequence[runtime.PushItem]) -> Mapping[int, runtime.PushOutcome]:
            return self._send(part, _erase_body(part), [requests[item.ref] for item in part])

        return runtime.push_bisecting(items, send)

    def find_held(self, batch: Sequence[runtime.EraseItem]) -> Mapping[int, bool]:
        """See SupportsErase. A receiver can't be asked."""
        raise NotImplementedError

    def _send(
        self, batch: Sequence[runtime.PushItem], body: str, requests: Sequence[str] = ()
    ) -> Mapping[int, runtime.PushOutcome]:
        origin, path = split_url(self._config.settings["url"])
        try:
            networks = self._networks()
        except InvalidNetworks as error:
            message = f"{self._config.name}: private_networks: {error}"
            raise runtime.DeliveryError(message, permanent=True) from error
        with self._http.session(self._config.name, origin, networks=networks) as session:
            answer = session.send(
                "POST",
                "the receiver's URL",
                raw_path=path,
                body=body.encode(),
                headers={
                    "Content-Type": "application/json",
                    **self._signature_headers(body, requests),
                },
                allowed_statuses={_STATUS_GONE},
            )
        if answer.status == _STATUS_GONE:
            raise runtime.EndpointGone(
                f"{self._config.name}: the receiver answered 410, it wants no more"
            )
        return {item.ref: runtime.reflected(answer.status) for item in batch}

    def _networks(self) -> tuple[Network, ...]:
        """Those in which the receiver may be. Raises InvalidNetworks."""
        return parse_own_networks(self._config.settings, self._http.private_networks)

    def _secrets(self) -> list[str]:
        return self._config.settings["secret"].split()

    def _signature_headers(self, body: str, requests: Sequence[str]) -> dict[str, str]:
        now, secrets = self._http.now(), self._secrets()
        if not secrets or not all(map(is_standard_secret, secrets)):
            raise runtime.DeliveryError(
                f"{self._config.name}: a secret can't be used", permanent=True
            )
        name = message_id(secrets[0], self._config.name, body, requests)
        signatures = [Signer(secret).sign(name, now, body) for secret in secrets]
        return {
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    def _body(self, batch: Sequence[runtime.PushItem]) -> str:
        names = self._config.topics
        newest = max((item.since for item in batch if item.since), default=None)
        # Claimed rows come in any order, and a retry is to have the same body.
        ordered = sorted(batch, key=lambda item: item.ref)
        payload = {
            "type": "preferences.changed",
            "timestamp": newest.isoformat() if newest else None,
            "data": {"items": [_item_json(item, names) for item in ordered]},
        }
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _erase_body(batch: Sequence[runtime.PushItem]) -> str:
    """Without a time, so that a retry has the same body."""
    rows = [{"address": item.address, "channel": item.channel.value} for item in batch]
    rows.sort(key=lambda row: row["address"])
    payload = {"type": "contact.erased", "timestamp": None, "data": {"items": rows}}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def message_id(secret: str, destination: str, body: str, requests: Sequence[str] = ()) -> str:
    """The webhook-id: the same for every retry of the same states, and for no others.

    `requests` tell apart erasures, whose bodies are the same for the same person. Keyed, and
    stored nowhere: a digest of the body would say whom it was about to anyone who can guess (I6).
    """
    text = json.dumps([destination, body, sorted(requests)])
    digest = hmac.digest(secret.encode(), text.encode(), "sha256")
    return "msg_" + base64.urlsafe_b64encode(digest[:18]).decode()


def _item_json(item: runtime.PushItem, topic_names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "address": item.address,
        "channel": item.channel.value,
        "off": sorted(topic_names.get(topic, topic) for topic in item.off),
        "lift": sorted(topic_names.get(topic, topic) for topic in item.lift),
        "all_off": item.all_off,
        "version": item.version,
        "since": item.since.isoformat() if item.since else None,
        "reasons": {
            topic_names.get(topic, topic): _reason_json(reason)
            for topic, reason in sorted(item.reasons.items())
        },
        "frequencies": {
            topic_names.get(topic, topic): key for topic, key in sorted(item.frequencies.items())
        },
    }


def _reason_json(reason: runtime.TopicOffReason) -> dict[str, str | None]:
    return {
        "rule": reason.rule,
        "scope": reason.scope,
        "event": str(reason.event),
        "since": reason.since.isoformat(),
        "until": reason.until.isoformat() if reason.until else None,
    }


SPEC = runtime.ConnectorSpec(
    kind=WebhookConnector.kind,
    tested_against=runtime.TestedAgainst.REAL_SERVER,
    tested_version="a receiver of Standard Webhooks 1.0.0; with every test run",
    capabilities=WebhookConnector.capabilities,
    own_settings=WebhookConnector.settings,
    secret_settings=frozenset({"secret"}),
    sources=(
        "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    ),
    build=WebhookConnector,
)
