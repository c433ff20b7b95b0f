"""Brevo: contacts, and contacts exported from the view of those blocklisted.

https://developers.brevo.com/reference/request-contact-export names EMAIL, ADDED_TIME and
MODIFIED_TIME, and the subscription status email_marketing, which is "Subscribed" or
"Blocklisted" (https://help.brevo.com/hc/en-us/articles/5317448358034); the API's contacts
say emailBlacklisted. Files are separated by semicolons or commas. When somebody was
blocklisted is not in them: MODIFIED_TIME is any change, so such an opt-out is undated.
"""

from __future__ import annotations

from preference_center.domain.imports.presets import Meaning, Preset, Says, When

_PAGE = "https://developers.brevo.com/reference/request-contact-export"
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
    Preset(
        name="brevo-contacts",
        title="Brevo: contacts with their subscription status",
        page=_PAGE,
        address=_EMAIL,
        says=(
            Says(
                Meaning.OPT_OUT,
                group="blocklisted",
                when=(When(_STATUS, ("blocklisted", "blacklisted", "unsub", "true", "yes", "1")),),
            ),
            Says(
                Meaning.SUBSCRIPTION,
                group="contacts",
                at=("ADDED_TIME", "createdAt"),
                when=(When(_STATUS, ("subscribed", "false", "no", "0")),),
            ),
        ),
        needs=(_STATUS,),
        json_list="contacts.item",
    ),
    Preset(
        name="brevo-blocklisted",
        title="Brevo: an export of blocklisted contacts only",
        page=_PAGE,
        address=_EMAIL,
        says=(Says(Meaning.OPT_OUT, group="blocklisted"),),
        json_list="contacts.item",
    ),
)
