"""This package connects Mailchimp, and its presets read the files of an audience export.

The ZIP of an export has three files. https://mailchimp.com/help/about-cleaned-contacts explains
cleaned contacts. Real files have "Email Address", OPTIN_TIME and CONFIRM_TIME; UNSUB_TIME is only
in the file of unsubscribed contacts, CLEAN_TIME only in that of cleaned ones. A file is of one
audience and does not name it.
"""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.presets import ImportPreset, bounce, opt_out, subscription

INTEGRATION = Integration.of_package(
    __name__, "Mailchimp", webhook="MailchimpWebhookSource", has_presets=True
)


_DOCS_URL = "https://mailchimp.com/help/about-cleaned-contacts"


_EMAIL = ("Email Address", "email")


PRESETS = (
    ImportPreset(
        name="mailchimp-subscribed",
        title="Mailchimp: subscribed_..._export.csv of an audience",
        docs_url=_DOCS_URL,
        address_columns=_EMAIL,
        meanings=(
            subscription(default_group="audience", date_columns=("OPTIN_TIME", "CONFIRM_TIME")),
        ),
        required_columns=(("OPTIN_TIME", "CONFIRM_TIME"),),
        excluded_columns={
            "UNSUB_TIME": "mailchimp-unsubscribed",
            "CLEAN_TIME": "mailchimp-cleaned",
        },
    ),
    ImportPreset(
        name="mailchimp-unsubscribed",
        title="Mailchimp: unsubscribed_..._export.csv of an audience",
        docs_url=_DOCS_URL,
        address_columns=_EMAIL,
        meanings=(opt_out(default_group="audience", date_columns=("UNSUB_TIME",)),),
        required_columns=(("UNSUB_TIME",),),
    ),
    ImportPreset(
        name="mailchimp-cleaned",
        title="Mailchimp: cleaned_..._export.csv of an audience",
        docs_url=_DOCS_URL,
        address_columns=_EMAIL,
        meanings=(bounce(date_columns=("CLEAN_TIME",)),),
        required_columns=(("CLEAN_TIME",),),
    ),
)
