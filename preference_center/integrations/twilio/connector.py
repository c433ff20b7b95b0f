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
from functools import partial
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlencode
from uuid import UUID, uuid5

from pydantic import Field, TypeAdapter

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Rate, Scopes
from preference_center.domain.sync.contract import Outcome, Result
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.http import Session, basic
from preference_center.integrations.base.mapped_connector import MappedConnector
from preference_center.integrations.base.pydantic_types import Lenient
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.base.targets import Change, Rules, Target
from preference_center.integrations.base.webhook_only import Listener

SENDER = r"MG[0-9a-fA-F]{32}|\+[1-9][0-9]{4,14}|[1-9][0-9]{3,7}"
"""A messaging service, a number in E.164, or a short code."""
_CONSENTS = "/v1/Consents/Bulk"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_CORRELATION = UUID("7c5cc7a5-8c1d-4a7e-9a39-0a9d6b3d2f10")
_DOCS = "https://www.twilio.com/docs/messaging"


class _Verdict(Lenient):
    correlation_id: str = ""
    error_code: int = -1
    error_messages: list[str] = Field(default_factory=list)


class _Verdicts(Lenient):
    items: list[_Verdict] = Field(default_factory=list)


_VERDICTS = TypeAdapter(_Verdicts)


class Twilio(MappedConnector[Session]):
    """The consents of one Twilio account."""

    kind: ClassVar[str] = "twilio"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.SMS}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=250,
        rate=Rate(100, 60),
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "the SID of an API key, SK..., or of the account, AC...",
        "api_secret": "the key's secret, or the account's auth token; without, it only listens",
        "base_url?": "another address of the API, for tests",
    }
    rules: ClassVar[Rules] = Rules(
        target="sender",
        credentials="the API key, and whether the account has the Consent Management API",
        group=25,
        by_target=True,
    )

    @contextmanager
    def open(self) -> Iterator[Session]:
        """See MappedConnector."""
        settings = self.setup.settings
        with self.http.session(
            self.setup.name,
            settings.get("base_url", "https://accounts.twilio.com"),
            headers=basic(settings["api_key"], settings["api_secret"]),
        ) as session:
            yield session

    def targets(self, client: Session) -> Iterator[Target]:  # noqa: ARG002 - can't be asked
        """See MappedConnector. Senders can't be listed here: those that are mapped and may be."""
        for sender in set(self.setup.topics.values()):
            if re.fullmatch(SENDER, sender):
                yield Target(sender, sender)

    def faults(self, client: Session) -> Iterator[str]:
        """See MappedConnector. An empty request, which is rejected, shows if the key is good."""
        client.send("POST", _CONSENTS, body=b"", headers=_FORM, allow={HTTPStatus.BAD_REQUEST})
        if self.setup.sends_service:
            yield (
                "an opt-out stops every message of its sender, service messages too: send those "
                "by another sender, and take sends-service from this destination (I10)"
            )

    def write(self, client: Session, changes: Sequence[Change]) -> Mapping[int, Outcome]:
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

    def _outcome(self, verdict: _Verdict, change: Change) -> Outcome:
        """Raises DeliveryError (permanent) where the sender is at fault."""
        if verdict.error_code == 0:
            return Outcome(Result.REFLECTED, verdict.correlation_id)
        said = " ".join(verdict.error_messages).upper()
        if "SENDER" in said:
            (sender,) = change.off | change.on
            raise DeliveryError(
                f"{self.setup.name}: Twilio rejects the sender {sender} "
                f"({verdict.error_code}): map the topic to one of this account",
                permanent=True,
            )
        ack = str(verdict.error_code)
        return Outcome(Result.REFUSED if "CONTACT" in said else Result.LATER, ack)


def _consent(name: str, change: Change) -> dict[str, str]:
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


ENTRY = Entry(
    kind=Twilio.kind,
    title="Twilio",
    proof=Proof.DESCRIPTION,
    against="the description of accounts v1, read on 2026-11-27",
    capabilities=Twilio.capabilities,
    own_settings=Twilio.settings,
    secrets=frozenset({"api_secret"}),
    sources=(
        f"{_DOCS}/features/consent-api",
        f"{_DOCS}/features/bulk-upsert-consents-api",
        "https://github.com/twilio/twilio-oai/blob/main/spec/json/twilio_accounts_v1.json",
        f"{_DOCS}/guides/webhook-request",
        "https://www.twilio.com/docs/usage/webhooks/webhooks-security",
        f"{_DOCS}/tutorials/advanced-opt-out",
    ),
    build=Twilio,
    listen=partial(Listener, "twilio", ".+"),
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
