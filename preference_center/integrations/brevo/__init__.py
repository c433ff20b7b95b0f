"""This package connects Brevo, and its presets read exports of Brevo's contacts.

https://developers.brevo.com/reference/request-contact-export names EMAIL, ADDED_TIME and
MODIFIED_TIME, and the subscription status email_marketing, which is "Subscribed" or
"Blocklisted" (https://help.brevo.com/hc/en-us/articles/5317448358034); the API's contacts
say emailBlacklisted. Contacts are also exported from the view of those blocklisted. Files are
separated by semicolons or commas. When somebody was blocklisted is not in them: MODIFIED_TIME is
any change, so such an opt-out is undated.
"""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.presets import (
    CellCondition,
    ImportPreset,
    opt_out,
    subscription,
)

INTEGRATION = Integration.of_package(
    __name__, "Brevo", webhook="BrevoWebhookSource", has_presets=True
)


_DOCS_URL = "https://developers.brevo.com/reference/request-contact-export"


_EMAIL = ("EMAIL", "Email", "E-mail")


_STATUS = (
    "email_marketing",
    "EMAIL_MARKETING_STATUS",
    "emailBlacklisted",
    "email_blacklisted",
    "Blocklisted",
    "Blacklisted",
)


PRESETS = (
    ImportPreset(
        name="brevo-contacts",
        title="Brevo: contacts with their subscription status",
        docs_url=_DOCS_URL,
        address_columns=_EMAIL,
        meanings=(
            opt_out(
                default_group="blocklisted",
                conditions=(
                    CellCondition(
                        _STATUS, ("blocklisted", "blacklisted", "unsub", "true", "yes", "1")
                    ),
                ),
            ),
            subscription(
                default_group="contacts",
                date_columns=("ADDED_TIME", "createdAt"),
                conditions=(CellCondition(_STATUS, ("subscribed", "false", "no", "0")),),
            ),
        ),
        required_columns=(_STATUS,),
        is_strict=True,
        json_rows_path="contacts.item",
    ),
    ImportPreset(
        name="brevo-blocklisted",
        title="Brevo: an export of blocklisted contacts only",
        docs_url=_DOCS_URL,
        address_columns=_EMAIL,
        meanings=(opt_out(default_group="blocklisted"),),
        json_rows_path="contacts.item",
    ),
)
