"""Mailgun's webhooks, signed: not what they say, but a time and a token that stand beside it.

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads
Who gets hold of one signed request could therefore say anything else with it. So a token
counts once, and for a few hours; and since nothing that a tool says ever lifts, a forged body
could only suppress.

Older webhooks, and routes that forward or store received mail, post a form with the signature
among its fields: it is kept as `{"form": {...}}`.
https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/
https://github.com/anymail/django-anymail knows the fields of the older webhooks.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post, ReceivedMail, Unverified
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    json_objects,
    moment,
    part,
    same,
    secret_of,
    status_in,
    text,
    unknown,
)
from preference_center.integrations.base.signatures import ensure_recent
from preference_center.integrations.base.webhook_mail import addresses, composed, form_of

SETTING = "signing_key"
FRESH = timedelta(hours=9)
"""Mailgun goes on trying for eight hours, and doesn't say whether it signs each time anew."""
_KINDS = {"unsubscribed": NewsKind.OPTED_OUT, "complained": NewsKind.COMPLAINED}
_OF_NO_USE = re.compile("accepted|rejected|delivered|opened|clicked|stored|failed|list_.*")
_INTERNAL = 600
"""From here on codes are Mailgun's own: it did not try."""
_NOTED = {
    "605": NewsKind.BOUNCED,
    "606": NewsKind.OPTED_OUT,
    "607": NewsKind.COMPLAINED,
    "suppress-bounce": NewsKind.BOUNCED,
    "suppress-unsubscribe": NewsKind.OPTED_OUT,
    "suppress-complaint": NewsKind.COMPLAINED,
}
"""Codes, and reasons, of mails not sent -> what Mailgun has noted of the person before."""


class MailgunNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "the HTTP webhook signing key of the account (or of the primary account)",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> str:
        """See NewsSource."""
        key = secret_of(settings, SETTING)
        given = _signature(post)
        stamp, token = text(given, "timestamp"), text(given, "token")
        if not token:
            raise Unverified("the request is not signed")
        # Events of a subaccount are signed with its own key, and with its parent's.
        expected = hmac.digest(key.encode(), f"{stamp}{token}".encode(), "sha256").hex()
        parents = same(text(given, "parent-signature"), expected)
        if not (same(text(given, "signature"), expected) or parents):
            raise Unverified("the signature does not match")
        ensure_recent(moment(stamp), now, FRESH)
        return token

    def whole(self, post: Post) -> bytes:
        """See Dated."""
        form = form_of(post)
        return post.body if form is None else json.dumps({"form": form}).encode()

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource. One event a request."""
        return addressed(news for row in json_objects(body) if (news := _read_row(row)))

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See CarriesMail."""
        forms = [part(row, "form") for row in json_objects(body)]
        return [_mail(form) for form in forms if "recipient" in form and "event" not in form]


def _signature(post: Post) -> dict[str, Any]:
    try:
        form = form_of(post)
        if form is not None:
            return form
        (row,) = json_objects(post.body)
    except (InvalidInput, ValueError):
        raise Unverified("the request is not signed") from None
    return part(row, "signature")


def _read_row(row: dict[str, Any]) -> News | None:
    form = part(row, "form")
    if not form:
        return _read(part(row, "event-data"))
    return _read(_event_of(form)) if "event" in form or "recipient" not in form else None


def _event_of(form: dict[str, Any]) -> dict[str, Any]:
    """An event of an older webhook in the form of a newer one."""
    name = text(form, "event")
    failed = name in {"bounced", "dropped"}
    gives_up = name == "bounced" or text(form, "reason") == "hardfail"
    return {
        **form,
        "event": "failed" if failed else name,
        "severity": "permanent" if gives_up else "temporary",
        "reason": text(form, "reason"),
        "id": text(form, "token"),
        "delivery-status": {
            "code": text(form, "code"),
            "message": text(form, "error") or text(form, "description"),
        },
    }


def _mail(form: dict[str, Any]) -> ReceivedMail:
    """A mail that a route forwards: whole, or in its parts."""
    whole = text(form, "body-mime")
    if not whole:
        whole = composed(
            [
                (str(pair[0]), str(pair[1]))
                for pair in _json_list(text(form, "message-headers"))
                if isinstance(pair, list) and len(pair) > 1
            ]
            or [("From", text(form, "from")), ("Subject", text(form, "subject"))],
            text(form, "body-plain"),
            text(form, "body-html"),
        ).decode(errors="replace")
    return ReceivedMail(whole.encode(), addresses(text(form, "recipient")), text(form, "sender"))


def _json_list(written: str) -> list[Any]:
    try:
        found = json.loads(written or "[]")
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _read(event: dict[str, Any]) -> News | None:
    name = text(event, "event")
    if not name:
        raise InvalidInput("the body is not what the vendor promises")
    noted = _noted(event) if name == "failed" else None
    kind = _KINDS.get(name) or noted
    bounce = _bounce(event, noted) if name == "failed" else None
    if kind is None and bounce is None:
        return None if _OF_NO_USE.fullmatch(name) else unknown(name)
    return News(
        kind or NewsKind.BOUNCED,
        text(event, "recipient"),
        # Whether somebody left one tag or all isn't told, so it is all.
        at=moment(event.get("timestamp")),
        id=text(event, "id"),
        # What was noted before may have come of an API call of ours.
        by_person=name in _KINDS,
        bounce=bounce,
    )


def _noted(event: dict[str, Any]) -> NewsKind | None:
    code = text(part(event, "delivery-status"), "code")
    return _NOTED.get(code) or _NOTED.get(text(event, "reason"))


def _bounce(event: dict[str, Any], noted: NewsKind | None) -> Bounce | None:
    """None while Mailgun goes on trying, and where it did not try, unless for a bounce before."""
    told = part(event, "delivery-status")
    code, said = text(told, "code"), text(told, "message") or text(told, "description")
    if noted is not None:
        return Bounce(text=said, permanent=True) if noted is NewsKind.BOUNCED else None
    if text(event, "severity") != "permanent":
        return None
    if code.isdigit() and int(code) >= _INTERNAL:
        return None
    return Bounce(
        status=text(told, "enhanced-code") or status_in(said),
        reply=code,
        text=said,
        permanent=True,
    )
