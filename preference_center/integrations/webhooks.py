"""Every vendor whose webhooks are understood, by the kind of its connector. No magic."""

from __future__ import annotations

from collections.abc import Mapping

from preference_center.domain.vendor_events import WebhookSource, WebhookVerifier
from preference_center.integrations.braze.webhook import BrazeWebhookSource
from preference_center.integrations.brevo.webhook import BrevoWebhookSource
from preference_center.integrations.customerio.webhook import CustomerIoWebhookSource
from preference_center.integrations.ghost.webhook import GhostWebhookSource
from preference_center.integrations.hubspot.webhook import HubSpotWebhookSource
from preference_center.integrations.intercom.webhook import IntercomWebhookSource
from preference_center.integrations.iterable.webhook import IterableWebhookSource
from preference_center.integrations.klaviyo.webhook import KlaviyoWebhookSource
from preference_center.integrations.mailchimp.webhook import (
    SIGNING_SECRET_SETTING,
    MailchimpWebhookSource,
)
from preference_center.integrations.mailersend.webhook import MailerSendWebhookSource
from preference_center.integrations.mailgun.webhook import MailgunWebhookSource
from preference_center.integrations.mailjet.webhook import MailjetWebhookSource
from preference_center.integrations.mailtrap.webhook import MailtrapWebhookSource
from preference_center.integrations.mandrill.webhook import MandrillWebhookSource
from preference_center.integrations.postal.webhook import PostalWebhookSource
from preference_center.integrations.postmark.webhook import PostmarkWebhookSource
from preference_center.integrations.resend.webhook import ResendWebhookSource
from preference_center.integrations.sendgrid.webhook import SendGridWebhookSource
from preference_center.integrations.ses.webhook import SesWebhookSource
from preference_center.integrations.sparkpost.webhook import SparkPostWebhookSource
from preference_center.integrations.standard_webhooks.webhook import StandardWebhookSource
from preference_center.integrations.twilio.webhook import (
    AUTH_TOKEN_SETTING,
    SHARED_KEY_SETTING,
    TwilioSmsWebhook,
)
from preference_center.integrations.unisender_go.webhook import UnisenderGoWebhookSource

WEBHOOK_SOURCES: Mapping[str, WebhookSource] = {
    "sendgrid": SendGridWebhookSource(),
    "mailchimp": MailchimpWebhookSource(),
    "hubspot": HubSpotWebhookSource(),
    "mailgun": MailgunWebhookSource(),
    "ses": SesWebhookSource(),
    "postmark": PostmarkWebhookSource(),
    "mandrill": MandrillWebhookSource(),
    "sparkpost": SparkPostWebhookSource(),
    "brevo": BrevoWebhookSource(),
    "klaviyo": KlaviyoWebhookSource(),
    "customerio": CustomerIoWebhookSource(),
    "braze": BrazeWebhookSource(),
    "iterable": IterableWebhookSource(),
    "resend": ResendWebhookSource(),
    "mailersend": MailerSendWebhookSource(),
    "intercom": IntercomWebhookSource(),
    "ghost": GhostWebhookSource(),
    "mailjet": MailjetWebhookSource(),
    "unisender_go": UnisenderGoWebhookSource(),
    "mailtrap": MailtrapWebhookSource(),
    "postal": PostalWebhookSource(),
    "standard_webhooks": StandardWebhookSource(),
}
SMS_WEBHOOKS: Mapping[str, WebhookVerifier] = {"twilio": TwilioSmsWebhook()}
"""Those that bring text messages, which are taken in and answered at once."""
WEBHOOKS: Mapping[str, WebhookVerifier] = {**WEBHOOK_SOURCES, **SMS_WEBHOOKS}
SECRET_IN_PATH = frozenset(
    {"mailchimp", "postmark", "sparkpost", "brevo", "braze", "iterable", "mailjet"}
)
"""Those whose `webhook_secret` stands in the URL; all others sign with it, and keep it out."""
REQUIRES_200 = frozenset({"mailgun", "mailjet", "mailtrap", "postmark", "unisender_go"})
"""Those whose vendors document that they repeat whatever is not answered with just 200.

https://help.mailgun.com/hc/en-us/articles/202236504-Webhooks
https://postmarkapp.com/developer/user-guide/inbound/parse-an-email
The pages of the others are in their modules.
"""
SECRET_SETTINGS = frozenset(
    {"webhook_secret", "webhook_password", "webhook_token", "client_secret", "signing_key"}
    | {AUTH_TOKEN_SETTING, SHARED_KEY_SETTING, SIGNING_SECRET_SETTING}
)
"""Settings of WEBHOOKS that are never to be shown again."""
