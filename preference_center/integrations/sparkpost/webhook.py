"""SparkPost's (Bird's) event webhook: JSON, proved by the guard since nothing is signed.

https://developers.sparkpost.com/api/webhooks/
https://support.sparkpost.com/docs/deliverability/bounce-classification-codes
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post, ReceivedMail
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    is_complaint,
    iso_moment,
    json_objects,
    moment,
    part,
    status_in,
    text,
    unknown,
)
from preference_center.integrations.base.shared_secret import GUARD, guard
from preference_center.integrations.base.webhook_mail import addresses

_OF_NO_USE = re.compile(
    "delivery|injection|delay|policy_rejection|sms_status|(amp_)?(initial_)?open|(amp_)?click"
    "|generation_(failure|rejection)|relay_(injection|rejection|delivery|tempfail|permfail)"
    "|success|error|ab_test_(completed|cancelled)|bounce|out_of_band|spam_complaint"
)
_RELAYED = "relay_message"
_UNSUBSCRIBE = "90"
"""The class of a reply that asks to be left alone."""
_NO_BOUNCES = {"60", "80", "100"}
"""Automatic replies, wishes to subscribe, and questions whether the sender is a person."""
_HARD = {"10", "30"}
_UNDETERMINED = {"", "1"}


class SparkPostNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = GUARD

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        guard(post, settings)

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource. `{"msys": {}}` is how SparkPost tries the URL."""
        return [news for row in json_objects(body) for news in _read(row)]

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See CarriesMail; https://developers.sparkpost.com/api/relay-webhooks/."""
        relayed = [part(row, "msys", _RELAYED) for row in json_objects(body)]
        return [_mail(each) for each in relayed if each]


def _mail(relayed: dict[str, Any]) -> ReceivedMail:
    content = part(relayed, "content")
    raw = text(content, "email_rfc822").encode(errors="replace")
    if content.get("email_rfc822_is_base64") is True:
        try:
            raw = base64.b64decode(raw)
        except ValueError:
            raise InvalidInput("the body is not what the vendor promises") from None
    return ReceivedMail(raw, addresses(text(relayed, "rcpt_to")), text(relayed, "msg_from"))


def _read(row: dict[str, Any]) -> Iterator[News]:
    wrapped = row.get("msys")
    events = dict(wrapped) if isinstance(wrapped, dict) else {"": None}
    events.pop(_RELAYED, None)
    for event in events.values():
        if not isinstance(event, dict):
            raise InvalidInput("the body is not what the vendor promises")
        name = text(event, "type")
        kind = _kind(name, event)
        if kind is not None:
            yield _news(kind, event)
        elif not _OF_NO_USE.fullmatch(name):
            yield unknown(name)


def _kind(name: str, event: dict[str, Any]) -> NewsKind | None:
    bounce_class = text(event, "bounce_class")
    match name:
        case "list_unsubscribe" | "link_unsubscribe":
            return NewsKind.OPTED_OUT
        case "spam_complaint" if is_complaint(text(event, "fbtype")):
            return NewsKind.COMPLAINED
        case "bounce" | "out_of_band" if bounce_class == _UNSUBSCRIBE:
            return NewsKind.OPTED_OUT
        case "bounce" | "out_of_band" if bounce_class not in _NO_BOUNCES:
            return NewsKind.BOUNCED
    return None


def _news(kind: NewsKind, event: dict[str, Any]) -> News:
    stamp = event.get("timestamp")
    return News(
        kind,
        # `rcpt_to` is in lower case, which may be another mailbox.
        text(event, "raw_rcpt_to") or text(event, "rcpt_to"),
        at=moment(stamp) or iso_moment(stamp),
        id=text(event, "event_id"),
        by_person=kind is not NewsKind.BOUNCED,
        bounce=_bounce(event) if kind is NewsKind.BOUNCED else None,
    )


def _bounce(event: dict[str, Any]) -> Bounce:
    said, bounce_class = text(event, "raw_reason"), text(event, "bounce_class")
    return Bounce(
        status=status_in(said),
        reply=text(event, "error_code"),
        text=said,
        permanent=None if bounce_class in _UNDETERMINED else bounce_class in _HARD,
    )
