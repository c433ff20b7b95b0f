"""Mailchimp's audience webhooks: a form, proved by a secret in the path and by nothing else.

https://mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks/
Mailchimp signs nothing and gives acts no id: what is posted twice is told by who, what and
when. Whether a person or an API call did it isn't said either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import parse_qs

from preference_center.domain.news import WHOLE, News, NewsKind, Post, Unverified
from preference_center.domain.news.reading import iso_moment, same, secret_of, unknown
from preference_center.errors import InvalidInput

SETTING = "webhook_secret"


class MailchimpNews:
    """See NewsSource."""

    settings: ClassVar[Mapping[str, str]] = {
        f"{SETTING}?": "long and random; the webhook's URL is /in/NAME/SECRET",
    }

    def verify(self, post: Post, settings: Mapping[str, str], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """See NewsSource."""
        if not same(post.secret, secret_of(settings, SETTING)):
            raise Unverified("the secret in the path does not match")

    def parse(self, body: bytes) -> Sequence[News]:
        """See NewsSource."""
        try:
            form = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        except ValueError:
            raise InvalidInput("the body is not what the vendor promises") from None
        if "type" not in form:
            raise InvalidInput("the body is not what the vendor promises")
        kind = _kind(form)
        address = form.get("data[new_email]") or form.get("data[email]", "")
        if kind is None:
            return [] if form["type"] in {"unsubscribe", "campaign"} else [unknown(form["type"])]
        # `fired_at` is UTC and says no zone: `2009-03-26 21:35:57`.
        return [News(kind, address, thing=WHOLE, at=iso_moment(form.get("fired_at"), zone=UTC))]


def _kind(form: Mapping[str, str]) -> NewsKind | None:
    reason = form.get("data[reason]")
    match form["type"]:
        case "unsubscribe" if form.get("data[action]") == "delete":
            return None  # somebody tidied the audience: no word of the person
        case "unsubscribe":
            return NewsKind.COMPLAINED if reason == "abuse" else NewsKind.OPTED_OUT
        case "cleaned":
            return NewsKind.COMPLAINED if reason == "abuse" else NewsKind.BOUNCED
        case "subscribe":
            return NewsKind.RESUBSCRIBED
        case "profile" | "upemail":
            return NewsKind.SEEN
    return None
