"""Mailjet's Event API and Parse API: JSON, proved by the guard since nothing is signed.

https://dev.mailjet.com/email/guides/webhooks/
https://dev.mailjet.com/email/guides/parse-api/
One event, or an array of them where events are grouped. A topic is a contact list: an
`unsub` names the list of the mail, or 0 for none. A mail that is `blocked` was not sent: some of
the reasons are what the person said before, or that the address is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.vendor_events import News, NewsKind, Post, ReceivedMail
from preference_center.errors import InvalidInput
from preference_center.integrations.base.payload import (
    addressed,
    json_objects,
    moment,
    part,
    status_in,
    text,
    unknown,
)
from preference_center.integrations.base.shared_secret import GUARD, guard
from preference_center.integrations.base.webhook_mail import addresses, composed, fields

_KINDS = {"unsub": NewsKind.OPTED_OUT, "spam": NewsKind.COMPLAINED}
_OF_NO_USE = {"sent", "open", "click"}
_GONE = {
    "user unknown": "5.1.1",
    "mailbox inactive": "5.2.1",
    "invalid domain": "5.1.2",
    "typofix": "5.1.2",
}
"""Errors that are about the address -> the same as an enhanced status code (RFC 3463)."""
_SPAM_REPORTER = "spam reporter"
_DELAYED = "greylisted"
_NOT_OF_THE_ADDRESS = {
    "", _DELAYED, "quota exceeded", "no mail host", "relay/access denied", "bad or empty template",
    "error in template language", "sender blocked", "content blocked", "policy issue",
    "system issue", "protocol issue", "connection issue", "preblocked", "duplicate in campaign",
}  # fmt: skip
"""`blacklisted` is not among them: the account's own list does not say why somebody is on it."""


class MailjetNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = GUARD

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        guard(post, settings)

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        return addressed(news for row in json_objects(body) if (news := _read(row)) is not None)

    def mails(self, body: bytes) -> Sequence[ReceivedMail]:
        """See CarriesMail."""
        return [_mail(row) for row in json_objects(body) if _is_mail(row)]


def _is_mail(row: dict[str, Any]) -> bool:
    return "event" not in row and "Recipient" in row


def _mail(row: dict[str, Any]) -> ReceivedMail:
    headers = [*fields(part(row, "Headers"))]
    known = {name.casefold() for name, _ in headers}
    headers += [
        (name, text(row, name)) for name in ("From", "Subject") if name.casefold() not in known
    ]
    content = composed(headers, text(row, "Text-part"), text(row, "Html-part"))
    return ReceivedMail(content, addresses(text(row, "Recipient")), text(row, "Sender"))


def _read(row: dict[str, Any]) -> News | None:
    name, error = text(row, "event"), text(row, "error")
    if name in _OF_NO_USE or _is_mail(row):
        return None
    if name in {"bounce", "blocked"}:
        return _failed(name, error, row)
    if not name:
        raise InvalidInput("the body is not what the vendor promises")
    kind = _KINDS.get(name)
    if kind is None:
        return unknown(name)
    of_list = text(row, "mj_list_id") if kind is NewsKind.OPTED_OUT else ""
    return _news(kind, row, thing=of_list if of_list.strip("0") else None, by_person=True)


def _failed(name: str, error: str, row: dict[str, Any]) -> News | None:
    if error == _SPAM_REPORTER:
        return _news(NewsKind.COMPLAINED, row)
    is_hard = text(row, "hard_bounce").casefold() in {"true", "1"}
    if name == "bounce":
        if error == _DELAYED and not is_hard:
            return None
        verdict = True if error in _GONE else None
        return _news(NewsKind.BOUNCED, row, bounce=_bounce(error, row, is_hard and verdict))
    if error in _GONE:
        return _news(NewsKind.BOUNCED, row, bounce=_bounce(error, row, permanent=True))
    return None if error in _NOT_OF_THE_ADDRESS else unknown(f"{name} {error}")


def _bounce(error: str, row: dict[str, Any], permanent: bool | None) -> Bounce:  # noqa: FBT001 - as in Bounce
    said = text(row, "comment")
    return Bounce(_GONE.get(error) or status_in(said), text=said or error, permanent=permanent)


def _news(
    kind: NewsKind,
    row: dict[str, Any],
    *,
    thing: str | None = None,
    by_person: bool = False,
    bounce: Bounce | None = None,
) -> News:
    # The number is the message's, to one recipient: it may bounce and be complained of.
    number = text(row, "MessageID")
    return News(
        kind,
        text(row, "email"),
        thing,
        at=moment(row.get("time")),
        id=f"{number} {text(row, 'event')} {text(row, 'time')}" if number else "",
        by_person=by_person,
        bounce=bounce,
    )
