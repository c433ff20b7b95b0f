"""Every vendor whose webhooks are understood, by the kind of its connector. No magic."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.domain.vendor_events import NewsSource, Webhook
from preference_center.integrations.braze.webhook import BrazeNews
from preference_center.integrations.brevo.webhook import BrevoNews
from preference_center.integrations.customerio.webhook import CustomerIoNews
from preference_center.integrations.ghost.webhook import GhostNews
from preference_center.integrations.hubspot.webhook import HubSpotNews
from preference_center.integrations.intercom.webhook import IntercomNews
from preference_center.integrations.iterable.webhook import IterableNews
from preference_center.integrations.klaviyo.webhook import KlaviyoNews
from preference_center.integrations.mailchimp.webhook import SIGNING, MailchimpNews
from preference_center.integrations.mailersend.webhook import MailerSendNews
from preference_center.integrations.mailgun.webhook import MailgunNews
from preference_center.integrations.mailjet.webhook import MailjetNews
from preference_center.integrations.mailtrap.webhook import MailtrapNews
from preference_center.integrations.mandrill.webhook import MandrillNews
from preference_center.integrations.postal.webhook import PostalNews
from preference_center.integrations.postmark.webhook import PostmarkNews
from preference_center.integrations.resend.webhook import ResendNews
from preference_center.integrations.sendgrid.webhook import SendGridNews
from preference_center.integrations.ses.webhook import SesNews
from preference_center.integrations.sparkpost.webhook import SparkPostNews
from preference_center.integrations.standard_webhooks.webhook import StandardNews
from preference_center.integrations.twilio.webhook import ACCOUNT_KEY, SHARED_KEY, TwilioTexts
from preference_center.integrations.unisender_go.webhook import UnisenderGoNews

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
