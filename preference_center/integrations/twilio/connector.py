"""Twilio's consents: a topic is what it is sent by, a number or a messaging service.

https://www.twilio.com/docs/messaging/features/consent-api
https://www.twilio.com/docs/messaging/features/bulk-upsert-consents-api
https://github.com/twilio/twilio-oai (spec/json/twilio_accounts_v1.json)
An opt-out stops every message of its sender, also codes and receipts, so a sender of those
stands for no topic (I4, I10). What Twilio holds can't be read. STOP comes by the webhook for
incoming messages, see `domain/news/twilio.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID, uuid5

from pydantic import Field, TypeAdapter

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, RateLimit, SupportedScope
from preference_center.domain.sync.contract import PushOutcome, PushResult
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import HttpSession, basic_auth_headers
from preference_center.integrations.base.mapped_connector import MappedConnector
from preference_center.integrations.base.pydantic_types import LenientModel
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.base.targets import ConnectorRules, Target, TargetChange
from preference_center.integrations.base.webhook_only import build_webhook_only
from preference_center.integrations.twilio.webhook import TwilioSmsWebhook

SENDER = r"MG[0-9a-fA-F]{32}|\+[1-9][0-9]{4,14}|[1-9][0-9]{3,7}"
"""A messaging service, a number in E.164, or a short code."""
_CONSENTS = "/v1/Consents/Bulk"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_CORRELATION = UUID("7c5cc7a5-8c1d-4a7e-9a39-0a9d6b3d2f10")
_DOCS = "https://www.twilio.com/docs/messaging"


class _Status(LenientModel):
    correlation_id: str = ""
    error_code: int = -1
    error_messages: list[str] = Field(default_factory=list)


class _StatusList(LenientModel):
    items: list[_Status] = Field(default_factory=list)


_VERDICTS = TypeAdapter(_StatusList)


class Twilio(MappedConnector[HttpSession]):
    """The consents of one Twilio account."""

    kind: ClassVar[str] = "twilio"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.SMS}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=250,
        rate_limit=RateLimit(100, 60),
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "the SID of an API key, SK..., or of the account, AC...",
        "api_secret": "the key's secret, or the account's auth token; without, it only listens",
        "base_url?": "another address of the API, for tests",
    }
    rules: ClassVar[ConnectorRules] = ConnectorRules(
        target_noun="sender",
        credentials_hint="the API key, and whether the account has the Consent Management API",
        group_size=25,
        by_target=True,
    )

    @contextmanager
    def open_client(self) -> Iterator[HttpSession]:
        """See MappedConnector."""
        settings = self.config.settings
        with self.http.session(
            self.config.name,
            settings.get("base_url", "https://accounts.twilio.com"),
            headers=basic_auth_headers(settings["api_key"], settings["api_secret"]),
        ) as session:
            yield session

    def list_targets(self, client: HttpSession) -> Iterator[Target]:  # noqa: ARG002 - can't be asked
        """See MappedConnector. Senders can't be listed here: those that are mapped and may be."""
        for sender in set(self.config.topics.values()):
            if re.fullmatch(SENDER, sender):
                yield Target(sender, sender)

    def find_problems(self, client: HttpSession) -> Iterator[str]:
        """See MappedConnector. An empty request, which is rejected, shows if the key is good."""
        client.send(
            "POST", _CONSENTS, body=b"", headers=_FORM, allowed_statuses={HTTPStatus.BAD_REQUEST}
        )
        if self.config.sends_service:
            yield (
                "an opt-out stops every message of its sender, service messages too: send those "
                "by another sender, and take sends-service from this destination (I10)"
            )

    def write_changes(
        self, client: HttpSession, changes: Sequence[TargetChange]
    ) -> Mapping[int, PushOutcome]:
        """See MappedConnector. Each consent has a verdict of its own."""
        nonce = self.http.nonce()
        asked = {uuid5(_CORRELATION, f"{nonce} {c.ref}").hex: c for c in changes}
        items = [("Items", json.dumps(_consent(name, change))) for name, change in asked.items()]
        answer = client.send("POST", _CONSENTS, body=urlencode(items).encode(), headers=_FORM)
        return {
            asked[verdict.correlation_id].ref: self._outcome(verdict, asked[verdict.correlation_id])
            for verdict in answer.parse(_VERDICTS).items
            if verdict.correlation_id in asked
        }

    def _outcome(self, verdict: _Status, change: TargetChange) -> PushOutcome:
        """Raises DeliveryError (permanent) where the sender is at fault."""
        if verdict.error_code == 0:
            return PushOutcome(PushResult.REFLECTED, verdict.correlation_id)
        said = " ".join(verdict.error_messages).upper()
        if "SENDER" in said:
            (sender,) = change.off | change.on
            raise DeliveryError(
                f"{self.config.name}: Twilio rejects the sender {sender} "
                f"({verdict.error_code}): map the topic to one of this account",
                permanent=True,
            )
        ack = str(verdict.error_code)
        return PushOutcome(PushResult.REFUSED if "CONTACT" in said else PushResult.RETRY_LATER, ack)


def _consent(name: str, change: TargetChange) -> dict[str, str]:
    (sender,) = change.off | change.on
    consent = {
        "contact_id": change.address,
        "correlation_id": name,
        "sender_id": sender,
        "status": "opt-out" if change.off else "opt-in",
        "source": "others",
    }
    if change.off and change.since:
        consent["date_of_consent"] = f"{change.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return consent


SPEC = ConnectorSpec(
    kind=Twilio.kind,
    tested_against=TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of accounts v1, read on 2026-11-27",
    capabilities=Twilio.capabilities,
    own_settings=Twilio.settings,
    secret_settings=frozenset({"api_secret"}),
    sources=(
        f"{_DOCS}/features/consent-api",
        f"{_DOCS}/features/bulk-upsert-consents-api",
        "https://github.com/twilio/twilio-oai/blob/main/spec/json/twilio_accounts_v1.json",
        f"{_DOCS}/guides/webhook-request",
        "https://www.twilio.com/docs/usage/webhooks/webhooks-security",
        f"{_DOCS}/tutorials/advanced-opt-out",
    ),
    build=Twilio,
    build_webhook_only=build_webhook_only("twilio", TwilioSmsWebhook),
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
