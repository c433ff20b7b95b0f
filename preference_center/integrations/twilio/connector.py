"""Twilio's consents: a topic is what it is sent by, a number or a messaging service.

https://www.twilio.com/docs/messaging/features/consent-api
https://www.twilio.com/docs/messaging/features/bulk-upsert-consents-api
https://github.com/twilio/twilio-oai (spec/json/twilio_accounts_v1.json)
An opt-out stops every message of its sender, also codes and receipts, so a sender of those
is never mapped to a topic (I4, I10). What Twilio holds can't be read. STOP arrives by the webhook
for incoming messages, see `webhook.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID, uuid5

from preference_center.integrations.base import runtime
from preference_center.integrations.twilio.webhook import TwilioSmsWebhook

SENDER = r"MG[0-9a-fA-F]{32}|\+[1-9][0-9]{4,14}|[1-9][0-9]{3,7}"
"""A messaging service, a number in E.164, or a short code."""
_CONSENTS = "/v1/Consents/Bulk"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_CORRELATION = UUID("7c5cc7a5-8c1d-4a7e-9a39-0a9d6b3d2f10")
_DOCS = "https://www.twilio.com/docs/messaging"


class _Status(runtime.LenientModel):
    correlation_id: str = ""
    error_code: int = -1
    error_messages: tuple[str, ...] = ()


class Twilio(runtime.MappedConnector[runtime.Session]):
    """The consents of one Twilio account."""

    kind = "twilio"
    capabilities = runtime.Capabilities(
        channels=frozenset({runtime.Channel.SMS}),
        can_lift=True,
        batch_size=250,
        rate_limit=runtime.RateLimit(100, 60),
        erase_note="Its Consent API can't delete: delete the messages to and from the number under "
        "Monitor > Logs > Messaging, or by the API's Messages; the consent stays.",
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "the SID of an API key, SK..., or of the account, AC...",
        "api_secret": "the key's secret, or the account's auth token; else it is webhook only",
        "base_url?": "another address of the API, for tests",
    }
    rules = runtime.ConnectorRules(
        target_noun="sender",
        credentials_hint="the API key, and whether the account has the Consent Management API",
        api_url="https://accounts.twilio.com",
        group_size=25,
        by_target=True,
    )

    def headers(self) -> Mapping[str, str]:
        """See ApiConnector."""
        settings = self.config.settings
        return runtime.basic_auth_headers(settings["api_key"], settings["api_secret"])

    def list_targets(self, client: runtime.Session) -> Iterator[runtime.Target]:  # noqa: ARG002 - can't be asked
        """See ApiConnector. Senders can't be listed here: those that are mapped and well formed."""
        for sender in set(self.config.topics.values()):
            if re.fullmatch(SENDER, sender):
                yield runtime.Target(sender, sender)

    def find_problems(self, client: runtime.Session) -> Iterator[str]:
        """See ApiConnector. An empty request is rejected, unless the key is wrong."""
        client.send(
            "POST", _CONSENTS, body=b"", headers=_FORM, allowed_statuses={HTTPStatus.BAD_REQUEST}
        )
        if self.config.sends_service:
            yield (
                "an opt-out stops every message of its sender, service messages too: send those "
                "by another sender, and take sends-service from this destination (I10)"
            )

    def write_changes(self, client: runtime.Session, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector. Each consent has a status of its own."""
        nonce = self.http.nonce()
        sent = {uuid5(_CORRELATION, f"{nonce} {c.ref}").hex: c for c in changes}
        items = [("Items", json.dumps(_consent(id_, change))) for id_, change in sent.items()]
        answer = client.send("POST", _CONSENTS, body=urlencode(items).encode(), headers=_FORM)
        return {
            sent[status.correlation_id].ref: self._outcome(status, sent[status.correlation_id])
            for status in answer.parse_member(list[_Status], "items", or_empty=True)
            if status.correlation_id in sent
        }

    def _outcome(self, status: _Status, change: runtime.TargetChange) -> runtime.PushOutcome:
        """Raises DeliveryError (permanent) where the sender is at fault."""
        if status.error_code == 0:
            return runtime.reflected(status.correlation_id)
        reason = " ".join(status.error_messages).upper()
        if "SENDER" in reason:
            raise runtime.DeliveryError(
                f"{self.config.name}: Twilio rejects the sender {change.target} "
                f"({status.error_code}): map the topic to one of this account",
                permanent=True,
            )
        is_address = "CONTACT" in reason
        return (runtime.refused if is_address else runtime.retry_later)(status.error_code)


def _consent(correlation_id: str, change: runtime.TargetChange) -> dict[str, str]:
    consent = {
        "contact_id": change.address,
        "correlation_id": correlation_id,
        "sender_id": change.target,
        "status": "opt-out" if change.off else "opt-in",
        "source": "others",
    }
    if change.off and change.since:
        consent["date_of_consent"] = f"{change.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return consent


SPEC = runtime.ConnectorSpec.of(
    Twilio,
    tested_against=runtime.TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of accounts v1, read on 2026-11-27",
    secrets={"api_secret"},
    sources=(
        f"{_DOCS}/features/consent-api",
        f"{_DOCS}/features/bulk-upsert-consents-api",
        "https://github.com/twilio/twilio-oai/blob/main/spec/json/twilio_accounts_v1.json",
        f"{_DOCS}/guides/webhook-request",
        "https://www.twilio.com/docs/usage/webhooks/webhooks-security",
        f"{_DOCS}/tutorials/advanced-opt-out",
    ),
    build_webhook_only=runtime.build_webhook_only("twilio", TwilioSmsWebhook),
    notes=(
        "STOP counts for all marketing at the number that it comes from.",
        "Where one sender sends one topic, map it: `+15550100`, or its service, `MG...`.",
        (
            "Opt-outs are pushed with `api_key` and `api_secret`, to accounts that have the "
            "Consent Management API (a pilot; with the Compliance Toolkit)."
        ),
        "An opt-out stops all that its sender sends: send codes and receipts by another.",
        "What Twilio holds can't be read back.",
    ),
)
