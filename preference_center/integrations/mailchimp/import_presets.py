"""Mailchimp: the three files in the ZIP of an audience export.

https://mailchimp.com/help/about-cleaned-contacts tells what cleaned ones are. Files in the
wild have "Email Address", OPTIN_TIME and CONFIRM_TIME; UNSUB_TIME is only where people
unsubscribed, CLEAN_TIME only where addresses were cleaned. A file is of one audience and
does not name it.
"""

from __future__ import annotations

from preference_center.domain.imports.presets import Meaning, Preset, Says

_PAGE = "https://mailchimp.com/help/about-cleaned-contacts"
_EMAIL = ("Email Address", "email")

PRESETS = (
    Preset(
        name="mailchimp-subscribed",
        title="Mailchimp: subscribed_..._export.csv of an audience",
        page=_PAGE,
        address=_EMAIL,
        says=(Says(Meaning.SUBSCRIPTION, group="audience", at=("OPTIN_TIME", "CONFIRM_TIME")),),
        needs=(("OPTIN_TIME", "CONFIRM_TIME"),),
        lacks={"UNSUB_TIME": "mailchimp-unsubscribed", "CLEAN_TIME": "mailchimp-cleaned"},
    ),
    Preset(
        name="mailchimp-unsubscribed",
        title="Mailchimp: unsubscribed_..._export.csv of an audience",
        page=_PAGE,
        address=_EMAIL,
        says=(Says(Meaning.OPT_OUT, group="audience", at=("UNSUB_TIME",)),),
        needs=(("UNSUB_TIME",),),
    ),
    Preset(
        name="mailchimp-cleaned",
        title="Mailchimp: cleaned_..._export.csv of an audience",
        page=_PAGE,
        address=_EMAIL,
        says=(Says(Meaning.BOUNCE, at=("CLEAN_TIME",)),),
        needs=(("CLEAN_TIME",),),
    ),
)
