"""This module reads SparkPost's (Bird's) event webhook.

https://developers.sparkpost.com/api/webhooks/
https://support.sparkpost.com/docs/deliverability/bounce-classification-codes
The body is JSON, verified by a shared secret since SparkPost signs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.vendor_events import (
    ReceivedMail,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.base.webhook_mail import extract_addresses
from preference_center.integrations.base.webhook_only import webhook_only_spec

INTEGRATION = Integration.of_module(__name__, "SparkPost", webhook="SparkPostWebhookSource")


_IGNORED = re.compile(
    "delivery|injection|delay|policy_rejection|sms_status|(amp_)?(initial_)?open|(amp_)?click"
    "|generation_(failure|rejection)|relay_(injection|rejection|delivery|tempfail|permfail)"
    "|success|error|ab_test_(completed|cancelled)|bounce|out_of_band|spam_complaint"
)


_RELAY_MESSAGE = "relay_message"


_UNSUBSCRIBE_CLASS = "90"
"""The class of a reply that asks to be left alone."""


_IGNORED_CLASSES = {"60", "80", "100"}
"""Automatic replies, requests to subscribe, and challenges to prove that the sender is human."""


_INVALID_RECIPIENT = "10"


_HARD_CLASSES = {_INVALID_RECIPIENT, "30"}


_UNDETERMINED_CLASSES = {"", "1"}


class SparkPostWebhookSource(webhook.SharedSecretWebhook):
    """See WebhookSource."""

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource. `{"msys": {}}` is SparkPost's test of the URL."""
        return [*chain.from_iterable(map(_read_event, webhook.parse_json_objects(body)))]

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail; https://developers.sparkpost.com/api/relay-webhooks/."""
        relayed = [row.nested("msys", _RELAY_MESSAGE) for row in webhook.parse_json_objects(body)]
        return [_to_received_mail(each) for each in relayed if each]


def _to_received_mail(relayed: webhook.JsonObject) -> ReceivedMail:
    content = relayed.nested("content")
    raw = content.text("email_rfc822").encode(errors="replace")
    if content.get("email_rfc822_is_base64") is True:
        raw = webhook.decode_base64(raw)
    return ReceivedMail(raw, extract_addresses(relayed.text("rcpt_to")), relayed.text("msg_from"))


def _read_event(row: webhook.JsonObject) -> Iterator[VendorEvent]:
    wrapped = row.get("msys")
    events = dict(wrapped) if isinstance(wrapped, dict) else {"": None}
    events.pop(_RELAY_MESSAGE, None)
    for each in events.values():
        if not isinstance(each, dict):
            raise InvalidInput("the body is not what the vendor promises")
        event = webhook.JsonObject(each)
        name = event.text("type")
        kind = _kind(name, event)
        if kind is not None:
            yield _vendor_event(kind, event)
        elif not _IGNORED.fullmatch(name):
            yield webhook.unknown_event(name)


def _kind(event_type: str, event: webhook.JsonObject) -> VendorEventKind | None:
    bounce_class = event.text("bounce_class")
    match event_type:
        case "list_unsubscribe" | "link_unsubscribe":
            return VendorEventKind.OPTED_OUT
        case "spam_complaint" if webhook.is_complaint(event.text("fbtype")):
            return VendorEventKind.COMPLAINED
        case "bounce" | "out_of_band" if bounce_class == _UNSUBSCRIBE_CLASS:
            return VendorEventKind.OPTED_OUT
        case "bounce" | "out_of_band" if bounce_class not in _IGNORED_CLASSES:
            return VendorEventKind.BOUNCED
    return None


def _vendor_event(kind: VendorEventKind, event: webhook.JsonObject) -> VendorEvent:
    stamp = event.get("timestamp")
    return VendorEvent(
        kind,
        # `rcpt_to` is in lower case, which may be another mailbox.
        event.text("raw_rcpt_to") or event.text("rcpt_to"),
        occurred_at=webhook.parse_epoch(stamp) or webhook.parse_iso_time(stamp),
        id=event.text("event_id"),
        by_person=kind is not VendorEventKind.BOUNCED,
        bounce=_bounce(event) if kind is VendorEventKind.BOUNCED else None,
    )


def _bounce(event: webhook.JsonObject) -> Bounce:
    reason, bounce_class = event.text("raw_reason"), event.text("bounce_class")
    return Bounce(
        status=webhook.find_status_code(reason),
        reply_code=event.text("error_code"),
        diagnostic=reason,
        permanent=None if bounce_class in _UNDETERMINED_CLASSES else bounce_class in _HARD_CLASSES,
        bad_address=bounce_class == _INVALID_RECIPIENT,
    )


SPEC = webhook_only_spec(
    "sparkpost",
    SparkPostWebhookSource,
    "https://developers.sparkpost.com/api/webhooks/",
    "https://support.sparkpost.com/docs/deliverability/bounce-classification-codes",
    erase_note="Request the right to be forgotten for the address on its page Data and Privacy, or "
    "by POST /api/v1/data-privacy/rtbf-request; leave its suppression.",
)
