"""This module reads Mailjet's Event API and Parse API.

https://dev.mailjet.com/email/guides/webhooks/
https://dev.mailjet.com/email/guides/parse-api/
The bodies are JSON, verified by a shared secret since Mailjet signs nothing: one event, or an
array of them where events are grouped. A topic is a contact list: an `unsub` names the list of the
mail, or 0 for none. A mail that is `blocked` was not sent: some of the reasons are the person's
earlier complaint, or that the address is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from preference_center.core.bounces import Bounce
from preference_center.core.errors import InvalidInput
from preference_center.integrations.base import webhook, webhook_mail
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.vendor_events import (
    ReceivedMail,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.base.webhook_only import webhook_only_spec

INTEGRATION = Integration.of_module(__name__, "Mailjet", webhook="MailjetWebhookSource")


_KINDS = {"unsub": VendorEventKind.OPTED_OUT, "spam": VendorEventKind.COMPLAINED}


_IGNORED = {"sent", "open", "click"}


_ADDRESS_ERROR_STATUSES = {
    "user unknown": "5.1.1",
    "mailbox inactive": "5.2.1",
    "invalid domain": "5.1.2",
    "typofix": "5.1.2",
}
"""Errors that are about the address -> the same as an enhanced status code (RFC 3463)."""


_SPAM_REPORTER = "spam reporter"


_GREYLISTED = "greylisted"


_OTHER_ERRORS = {
    "", _GREYLISTED, "quota exceeded", "no mail host", "relay/access denied",
    "bad or empty template", "error in template language", "sender blocked", "content blocked",
    "policy issue", "system issue", "protocol issue", "connection issue", "preblocked",
    "duplicate in campaign",
}  # fmt: skip
"""`blacklisted` is not among them: the account's own list does not contain the reason."""


class MailjetWebhookSource(webhook.SharedSecretWebhook):
    """See WebhookSource."""

    requires_200: ClassVar[bool] = True

    def parse(self, body: bytes) -> Sequence[VendorEvent]:
        """See WebhookSource."""
        return webhook.read_events(webhook.parse_json_objects(body), _read_event)

    def parse_mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See SupportsInboundMail."""
        return [_to_received_mail(row) for row in webhook.parse_json_objects(body) if _is_mail(row)]


def _is_mail(row: webhook.JsonObject) -> bool:
    return "event" not in row and "Recipient" in row


def _to_received_mail(row: webhook.JsonObject) -> ReceivedMail:
    headers = [*webhook_mail.iter_header_fields(row.nested("Headers"))]
    known = {name.casefold() for name, _ in headers}
    headers += [
        (name, row.text(name)) for name in ("From", "Subject") if name.casefold() not in known
    ]
    content = webhook_mail.compose_mail(headers, row.text("Text-part"), row.text("Html-part"))
    return ReceivedMail(
        content, webhook_mail.extract_addresses(row.text("Recipient")), row.text("Sender")
    )


def _read_event(row: webhook.JsonObject) -> VendorEvent | None:
    name, error = row.text("event"), row.text("error")
    if name in _IGNORED or _is_mail(row):
        return None
    if name in {"bounce", "blocked"}:
        return _read_failure(name, error, row)
    if not name:
        raise InvalidInput("the body is not what the vendor promises")
    kind = _KINDS.get(name)
    if kind is None:
        return webhook.unknown_event(name)
    of_list = row.text("mj_list_id") if kind is VendorEventKind.OPTED_OUT else ""
    return _vendor_event(kind, row, target=of_list if of_list.strip("0") else None, by_person=True)


def _read_failure(event_type: str, error: str, row: webhook.JsonObject) -> VendorEvent | None:
    if error == _SPAM_REPORTER:
        return _vendor_event(VendorEventKind.COMPLAINED, row)
    is_hard = row.text("hard_bounce").casefold() in {"true", "1"}
    if event_type == "bounce":
        if error == _GREYLISTED and not is_hard:
            return None
        permanent = True if error in _ADDRESS_ERROR_STATUSES else None
        return _vendor_event(
            VendorEventKind.BOUNCED, row, bounce=_bounce(error, row, is_hard and permanent)
        )
    if error in _ADDRESS_ERROR_STATUSES:
        return _vendor_event(
            VendorEventKind.BOUNCED, row, bounce=_bounce(error, row, permanent=True)
        )
    return None if error in _OTHER_ERRORS else webhook.unknown_event(f"{event_type} {error}")


def _bounce(error: str, row: webhook.JsonObject, permanent: bool | None) -> Bounce:  # noqa: FBT001 - as in Bounce
    comment = row.text("comment")
    return Bounce(
        _ADDRESS_ERROR_STATUSES.get(error) or webhook.find_status_code(comment),
        diagnostic=comment or error,
        permanent=permanent,
    )


def _vendor_event(
    kind: VendorEventKind,
    row: webhook.JsonObject,
    *,
    target: str | None = None,
    by_person: bool = False,
    bounce: Bounce | None = None,
) -> VendorEvent:
    # The number is the message's, to one recipient: it may bounce and be complained of.
    number = row.text("MessageID")
    return VendorEvent(
        kind,
        row.text("email"),
        target,
        occurred_at=row.epoch("time"),
        id=f"{number} {row.text('event')} {row.text('time')}" if number else "",
        by_person=by_person,
        bounce=bounce,
    )


SPEC = webhook_only_spec(
    "mailjet",
    MailjetWebhookSource,
    "https://dev.mailjet.com/email/guides/webhooks/",
    "https://dev.mailjet.com/email/guides/parse-api/",
    notes=("Map each topic to the id of a contact list.",),
    target_pattern=r"\d+",
    erase_note="Look the address up under Contacts and delete it, or by DELETE /v4/contacts/{id}. "
    "That forgets the opt-out: keep the address out of imports.",
)
