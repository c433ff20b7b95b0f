"""This module reads the webhooks of Mandrill (Mailchimp Transactional).

https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/
https://mailchimp.com/developer/transactional/docs/webhooks/
A webhook posts a form, signed together with its URL.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook
from preference_center.integrations.base.contract import EraseMode
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.vendor_events import (
    ReceivedMail,
    SignatureError,
    VendorEvent,
    VendorEventKind,
    WebhookRequest,
    WebhookSource,
)
from preference_center.integrations.base.webhook_mail import extract_addresses
from preference_center.integrations.base.webhook_only import webhook_only_spec

INTEGRATION = Integration.of_module(__name__, "Mandrill", webhook="MandrillWebhookSource")


SECRET_SETTING = "signing_key"


_SIGNATURE_HEADER = "x-mandrill-signature"


_EVENTS_FIELD = "mandrill_events"


_KINDS = {
    "unsub": VendorEventKind.OPTED_OUT,
    "spam": VendorEventKind.COMPLAINED,
    "hard_bounce": VendorEventKind.BOUNCED,
    "soft_bounce": VendorEventKind.BOUNCED,
}


_REJECT_REASON_KINDS = {"unsub": VendorEventKind.OPTED_OUT, "spam": VendorEventKind.COMPLAINED}


_IGNORED = {"send", "deferral", "delivered", "open", "click", "reject", "inbound"}


_LIST_TYPES = {"blacklist", "denylist", "whitelist", "allowlist"}


class MandrillWebhookSource(WebhookSource):
    """See WebhookSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SECRET_SETTING}?": "the webhook's key, which Mandrill shows once the webhook is "
        "made; those "
        "of several webhooks with spaces between",
    }
    secret_settings: ClassVar[frozenset[str]] = frozenset({SECRET_SETTING})

    def verify(self, request: WebhookRequest, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See WebhookSource. Accepts any age, since no time is signed."""
        keys = webhook.require_setting(settings, SECRET_SETTING).split()
        given = request.require_header(_SIGNATURE_HEADER)
        try:
            form = sorted(webhook.parse_form_fields(request.body))
        except InvalidInput as error:
            raise SignatureError(str(error)) from None
        # The URL as it was entered at Mandrill, then the form's fields by name.
        signed = request.url + "".join(name + value for name, value in form)
        raw = signed.encode(errors="surrogatepass")
        expected = [base64.b64encode(hmac.digest(key.encode(), raw, "sha1")) for key in keys]
        if not any([webhook.constant_time_equal(given, each.decode()) for each in expected]):  # noqa: C419 - all
            raise SignatureError("the signature does not match")

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        events = dict(webhook.parse_form_fields(body)).get(_EVENTS_FIELD)
        if events is None:
            raise InvalidInput("the body is not what the vendor promises")
        return webhook.read_events(webhook.parse_json_objects(events.encode()), _read_event)

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail; https://mailchimp.com/developer/transactional/docs/inbound-email/."""
        rows = webhook.parse_json_objects(
            dict(webhook.parse_form_fields(body)).get(_EVENTS_FIELD, "[]").encode()
        )
        messages = [row.nested("msg") for row in rows if row.text("event") == "inbound"]
        return [
            ReceivedMail(
                each.text("raw_msg").encode(errors="replace"),
                extract_addresses(each.text("email")),
                each.text("sender"),
            )
            for each in messages
            if each.text("raw_msg")
        ]


def _read_event(row: webhook.JsonObject) -> VendorEvent | None:
    name, listed = row.text("event"), row.text("type")
    if not name and listed in _LIST_TYPES:
        return _read_list_change(listed, row)
    message = row.nested("msg")
    kind = _KINDS.get(name)
    # A mail that Mandrill did not send, since the person had opted out or complained before.
    rejected = (
        _REJECT_REASON_KINDS.get(message.text("reject", "reason")) if name == "reject" else None
    )
    if kind is None and rejected is None:
        return None if name in _IGNORED else webhook.unknown_event(name)
    return VendorEvent(
        kind or rejected or VendorEventKind.BOUNCED,
        message.text("email"),
        occurred_at=row.epoch("ts"),
        # `_id` is the message's: it may bounce and be complained of.
        id=f"{row.text('_id')} {name} {row.text('ts')}" if row.text("_id") else "",
        by_person=kind in _REJECT_REASON_KINDS.values(),
        bounce=_bounce(name, message) if kind is VendorEventKind.BOUNCED else None,
    )


def _read_list_change(list_type: str, row: webhook.JsonObject) -> VendorEvent | None:
    """A change of Mandrill's own lists: only opt-outs and complaints that were added count."""
    entry = row.nested("reject")
    kind = _REJECT_REASON_KINDS.get(entry.text("reason"))
    if list_type in {"whitelist", "allowlist"} or row.text("action") != "add" or kind is None:
        return None
    return VendorEvent(kind, entry.text("email"), occurred_at=row.epoch("ts"))


def _bounce(event_type: str, message: webhook.JsonObject) -> Bounce:
    text = message.text("diag").removeprefix("smtp;").strip()
    return Bounce(
        status=webhook.find_status_code(text),
        reply_code=webhook.find_reply_code(text),
        diagnostic=text or message.text("bounce_description"),
        permanent=event_type == "hard_bounce",
        bad_address=event_type == "hard_bounce"
        and message.text("bounce_description") in {"bad_mailbox", "invalid_domain"},
    )


SPEC = webhook_only_spec(
    "mandrill",
    MandrillWebhookSource,
    "https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/",
    "https://mailchimp.com/developer/transactional/docs/webhooks/",
    "https://mandrill.zendesk.com/hc/en-us/articles/205583187-About-Email-Content-Storage",
    erase=EraseMode.NOTHING_HELD,
    erase_note="It keeps no contacts. Copies of mails go after 30 days by themselves, and its "
    "denylist stays.",
)
