"""Every vendor whose webhooks are understood, by the kind of its connector. No magic."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.domain.news import NewsSource, Webhook
from preference_center.domain.news.braze import BrazeNews
from preference_center.domain.news.brevo import BrevoNews
from preference_center.domain.news.customerio import CustomerIoNews
from preference_center.domain.news.ghost import GhostNews
from preference_center.domain.news.hubspot import HubSpotNews
from preference_center.domain.news.intercom import IntercomNews
from preference_center.domain.news.iterable import IterableNews
from preference_center.domain.news.klaviyo import KlaviyoNews
from preference_center.domain.news.mailchimp import SIGNING, MailchimpNews
from preference_center.domain.news.mailersend import MailerSendNews
from preference_center.domain.news.mailgun import MailgunNews
from preference_center.domain.news.mailjet import MailjetNews
from preference_center.domain.news.mailtrap import MailtrapNews
from preference_center.domain.news.mandrill import MandrillNews
from preference_center.domain.news.postal import PostalNews
from preference_center.domain.news.postmark import PostmarkNews
from preference_center.domain.news.resend import ResendNews
from preference_center.domain.news.sendgrid import SendGridNews
from preference_center.domain.news.ses import SesNews
from preference_center.domain.news.sparkpost import SparkPostNews
from preference_center.domain.news.standard import StandardNews
from preference_center.domain.news.twilio import ACCOUNT_KEY, SHARED_KEY, TwilioTexts
from preference_center.domain.news.unisender_go import UnisenderGoNews

SOURCES: Mapping[str, NewsSource] = {
    "sendgrid": SendGridNews(),
    "mailchimp": MailchimpNews(),
    "hubspot": HubSpotNews(),
    "mailgun": MailgunNews(),
    "ses": SesNews(),
    "postmark": PostmarkNews(),
    "mandrill": MandrillNews(),
    "sparkpost": SparkPostNews(),
    "brevo": BrevoNews(),
    "klaviyo": KlaviyoNews(),
    "customerio": CustomerIoNews(),
    "braze": BrazeNews(),
    "iterable": IterableNews(),
    "resend": ResendNews(),
    "mailersend": MailerSendNews(),
    "intercom": IntercomNews(),
    "ghost": GhostNews(),
    "mailjet": MailjetNews(),
    "unisender_go": UnisenderGoNews(),
    "mailtrap": MailtrapNews(),
    "postal": PostalNews(),
    "standard_webhooks": StandardNews(),
}
TEXTS: Mapping[str, Webhook] = {"twilio": TwilioTexts()}
"""Those that bring text messages, which are taken in and answered at once."""
WEBHOOKS: Mapping[str, Webhook] = {**SOURCES, **TEXTS}
IN_PATH = frozenset({"mailchimp", "postmark", "sparkpost", "brevo", "braze", "iterable", "mailjet"})
"""Those whose `webhook_secret` stands in the URL; all others sign with it, and keep it out."""
ANSWERED_200 = frozenset({"mailgun", "mailjet", "mailtrap", "postmark", "unisender_go"})
"""Those whose vendors document that they repeat whatever is not answered with just 200.

https://help.mailgun.com/hc/en-us/articles/202236504-Webhooks
https://postmarkapp.com/developer/user-guide/inbound/parse-an-email
The pages of the others are in their modules.
"""
SECRETS = frozenset(
    {"webhook_secret", "webhook_password", "webhook_token", "client_secret", "signing_key"}
    | {ACCOUNT_KEY, SHARED_KEY, SIGNING}
)
"""Settings of WEBHOOKS that are never to be shown again."""
