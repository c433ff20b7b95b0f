"""Every vendor whose webhooks are understood, by the kind of its connector. No magic."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.domain.news import NewsSource
from preference_center.domain.news.hubspot import HubSpotNews
from preference_center.domain.news.mailchimp import MailchimpNews
from preference_center.domain.news.sendgrid import SendGridNews
from preference_center.domain.news.sparkpost import SparkPostNews

SOURCES: Mapping[str, NewsSource] = {
    "sendgrid": SendGridNews(),
    "mailchimp": MailchimpNews(),
    "hubspot": HubSpotNews(),
    "sparkpost": SparkPostNews(),
}
SECRETS = frozenset({"webhook_secret", "webhook_password", "client_secret"})
"""Settings of theirs that are never to be shown again."""
